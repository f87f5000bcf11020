//! Handwritten digits, drawn: each is a few strokes, pushed about at random and painted with soft edges into 28 by 28 grey values.

use std::f64::consts::{PI, TAU};

use super::random::Random;
use super::{Tutorial, line};

const SIDE: usize = 28;
const TRAINING: usize = 450;
const TEST: usize = 100;
/// Straight pieces that an arc is made of.
const ARC_PIECES: u32 = 16;

/// A point in the unit square, y downwards.
type Point = (f64, f64);

/// A pen movement without lifting.
enum Stroke {
    /// Through these points.
    Lines(&'static [Point]),
    /// Along an ellipse: centre, radii, first and last angle, 0 to the right and then clockwise.
    Arc(Point, Point, f64, f64),
}
use Stroke::{Arc, Lines};

/// How a digit is written.
fn strokes(digit: usize) -> Vec<Stroke> {
    match digit {
        0 => vec![Arc((0.5, 0.5), (0.27, 0.4), 0.0, TAU)],
        1 => vec![Lines(&[(0.36, 0.25), (0.52, 0.1), (0.52, 0.9)])],
        2 => vec![
            Arc((0.5, 0.32), (0.25, 0.22), -PI, 0.25 * PI),
            Lines(&[(0.677, 0.476), (0.25, 0.9), (0.77, 0.9)]),
        ],
        3 => vec![
            Arc((0.46, 0.3), (0.25, 0.2), -0.8 * PI, 0.5 * PI),
            Arc((0.46, 0.7), (0.28, 0.2), -0.5 * PI, 0.8 * PI),
        ],
        4 => vec![
            Lines(&[(0.6, 0.1), (0.2, 0.62), (0.82, 0.62)]),
            Lines(&[(0.62, 0.38), (0.62, 0.92)]),
        ],
        5 => vec![
            Lines(&[(0.74, 0.1), (0.34, 0.1), (0.31, 0.45)]),
            Arc((0.47, 0.65), (0.27, 0.24), -0.7 * PI, 0.75 * PI),
        ],
        6 => vec![
            Lines(&[(0.62, 0.08), (0.36, 0.4), (0.27, 0.66)]),
            Arc((0.5, 0.67), (0.23, 0.22), 0.0, TAU),
        ],
        7 => vec![Lines(&[(0.24, 0.12), (0.77, 0.12), (0.44, 0.9)])],
        8 => vec![
            Arc((0.5, 0.3), (0.2, 0.19), 0.0, TAU),
            Arc((0.5, 0.7), (0.25, 0.21), 0.0, TAU),
        ],
        _ => vec![
            Arc((0.5, 0.33), (0.23, 0.22), 0.0, TAU),
            Lines(&[(0.73, 0.33), (0.7, 0.62), (0.55, 0.92)]),
        ],
    }
}

/// The tables of the convolutional network's tutorial, without headers.
pub fn tables() -> Tutorial {
    let mut random = Random::new(0x6469_6769_7473);
    let (train_features, train_labels) = pictures(&mut random, TRAINING);
    let (test_features, test_labels) = pictures(&mut random, TEST);
    Tutorial {
        train_features,
        train_labels,
        test_features,
        test_labels,
    }
}

fn pictures(random: &mut Random, count: usize) -> (String, String) {
    let mut digits: Vec<usize> = (0..count).map(|picture| picture % 10).collect();
    random.shuffle(&mut digits);
    let features = digits.iter().map(|&digit| line(paint(random, digit))).collect();
    (features, digits.iter().map(|digit| line([digit])).collect())
}

/// The grey values of one picture, row by row, 0 for paper and 255 for ink.
fn paint(random: &mut Random, digit: usize) -> Vec<u8> {
    let pieces = pieces(random, digit);
    let pen = random.between(0.9, 1.5);
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let here = (as_f64(column), as_f64(row));
            let distance = pieces
                .iter()
                .map(|&(from, to)| distance(here, from, to))
                .fold(f64::INFINITY, f64::min);
            // Full ink within the pen's radius, fading over one pixel.
            pixels.push(grey((pen + 0.5 - distance).clamp(0.0, 1.0)));
        }
    }
    pixels
}

/// The digit's strokes as straight pieces in pixels: turned, slanted, stretched and moved a little, each corner shaken.
fn pieces(random: &mut Random, digit: usize) -> Vec<(Point, Point)> {
    let (turn, slant) = (random.between(-0.15, 0.15), random.between(-0.2, 0.2));
    let (wide, high) = (random.between(16.0, 20.0), random.between(17.0, 20.0));
    let (right, down) = (random.between(-1.5, 1.5), random.between(-1.5, 1.5));
    let mut pieces = Vec::new();
    for stroke in strokes(digit) {
        let points: Vec<Point> = corners(&stroke)
            .into_iter()
            .map(|(x, y)| {
                let (x, y) = (
                    x - 0.5 + random.between(-0.02, 0.02),
                    y - 0.5 + random.between(-0.02, 0.02),
                );
                // Small angles: a turn is a slant of both axes, and no sine is needed.
                let (x, y) = (x - (slant + turn) * y, y + turn * x);
                (13.5 + right + wide * x, 13.5 + down + high * y)
            })
            .collect();
        pieces.extend(points.windows(2).map(|pair| (pair[0], pair[1])));
    }
    pieces
}

fn corners(stroke: &Stroke) -> Vec<Point> {
    match *stroke {
        Lines(points) => points.to_vec(),
        Arc((x, y), (wide, high), first, last) => (0..=ARC_PIECES)
            .map(|piece| {
                let angle = first + (last - first) * f64::from(piece) / f64::from(ARC_PIECES);
                (x + wide * angle.cos(), y + high * angle.sin())
            })
            .collect(),
    }
}

/// How far a point is from a straight piece.
fn distance((x, y): Point, (from_x, from_y): Point, (to_x, to_y): Point) -> f64 {
    let (along_x, along_y) = (to_x - from_x, to_y - from_y);
    let length = (along_x * along_x + along_y * along_y).max(1e-9);
    let share = (((x - from_x) * along_x + (y - from_y) * along_y) / length).clamp(0.0, 1.0);
    let (off_x, off_y) = (x - from_x - share * along_x, y - from_y - share * along_y);
    (off_x * off_x + off_y * off_y).sqrt()
}

fn as_f64(pixel: usize) -> f64 {
    f64::from(u32::try_from(pixel).unwrap_or(0))
}

/// Ink as one of 256 grey values, in steps of 15: cosines may differ in their last digit, and coarse steps hide that.
fn grey(ink: f64) -> u8 {
    (1..=17_u8)
        .rev()
        .find(|&step| f64::from(step) - 0.5 <= ink * 17.0)
        .unwrap_or(0)
        * 15
}
