//! How batch normalisation walks through its values: sums a channel, and functions of a value and its channel.
//!
//! Channels behind each other repeat after `channels * inner` values. Where that is short, what belongs to a channel is written out
//! over some hundred values, and loops run along them, every lane of a vector with a channel of its own; where it is long, loops run
//! along a channel's neighbouring values ([`Walk`]).

use rayon::prelude::*;

use super::Axes;
use crate::nn::kernels::simd::{Isa, vectorized};
use crate::nn::threads::{self, COST_OF_A_VALUE, Unset};

/// Values of a block, which one thread works on at a time.
const BLOCK: usize = 1 << 14;
/// Values of a piece of a line.
const PIECE: usize = 64;

/// In which pieces the values are walked.
#[derive(Clone, Copy)]
enum Walk {
    /// All channels side by side, each repeated over its inner values, and all that repeated up to this width.
    Channels { period: usize, width: usize },
    /// One channel's neighbouring values at a time, up to [`PIECE`] of them.
    Lines,
}

impl Walk {
    fn of(axes: Axes) -> Self {
        /// Values that are worth a loop.
        const LEAST: usize = 256;
        const MOST: usize = 1 << 12;
        let period = axes.channels * axes.inner;
        if period <= MOST || axes.inner < PIECE {
            let width = LEAST.div_ceil(period.max(1)) * period.max(1);
            Self::Channels { period, width }
        } else {
            Self::Lines
        }
    }

    /// Values of a block: whole pieces.
    fn block(self, axes: Axes) -> usize {
        /// Rows of a block at least, beside which its sums are small.
        const FEWEST: usize = 8;
        let whole = match self {
            Self::Channels { width, .. } => width,
            Self::Lines => axes.inner,
        };
        BLOCK.div_ceil(whole.max(1)).max(FEWEST) * whole.max(1)
    }

    /// Sums that a block makes of each kind.
    fn sums(self, axes: Axes) -> usize {
        match self {
            Self::Channels { width, .. } => width,
            Self::Lines => axes.channels,
        }
    }

    /// Calls `visit(from, len, channel)` for each piece of the block of `len` values from `start` on; no channel means all, from the
    /// first on.
    #[inline(always)]
    fn for_each_piece(self, axes: Axes, start: usize, len: usize, mut visit: impl FnMut(usize, usize, Option<usize>)) {
        match self {
            Self::Channels { width, .. } => {
                for from in (0..len).step_by(width) {
                    visit(from, width.min(len - from), None);
                }
            }
            Self::Lines => {
                for line in (0..len).step_by(axes.inner) {
                    let channel = (start + line) / axes.inner % axes.channels;
                    for from in (0..axes.inner).step_by(PIECE) {
                        visit(line + from, PIECE.min(axes.inner - from), Some(channel));
                    }
                }
            }
        }
    }

    /// Sums of all kinds folded to the channels.
    fn fold(self, axes: Axes, sums: &[f64]) -> Vec<f64> {
        match self {
            Self::Channels { period, .. } => {
                let mut folded = vec![0.0; axes.channels];
                for (index, sum) in sums.iter().enumerate() {
                    folded[index % period / axes.inner] += sum;
                }
                folded
            }
            Self::Lines => sums.to_vec(),
        }
    }
}

/// A number for each channel, as long as a piece.
struct Spread {
    by_channel: Vec<f32>,
    /// Written out over the channels' width, if that is how they are walked.
    wide: Vec<f32>,
}

impl Spread {
    fn new(axes: Axes, walk: Walk, by_channel: Vec<f32>) -> Self {
        let wide = match walk {
            Walk::Channels { period, width } => {
                let channel = |index: usize| by_channel[index % period / axes.inner];
                (0..if by_channel.is_empty() { 0 } else { width })
                    .map(channel)
                    .collect()
            }
            Walk::Lines => Vec::new(),
        };
        Self { by_channel, wide }
    }

    /// The numbers along a piece, from `line` if they are all the same.
    #[inline(always)]
    fn along<'a>(&'a self, channel: Option<usize>, len: usize, line: &'a mut [f32; PIECE]) -> &'a [f32] {
        match channel {
            None => &self.wide[..len],
            Some(channel) => {
                line.fill(self.by_channel[channel]);
                &line[..len]
            }
        }
    }
}

/// The numbers of a piece's channels, each along it.
#[inline(always)]
fn along<'a, const N: usize>(
    numbers: &'a [Spread; N],
    channel: Option<usize>,
    len: usize,
    lines: &'a mut [[f32; PIECE]; N],
) -> [&'a [f32]; N] {
    let mut lines = lines.iter_mut();
    numbers.each_ref().map(
        #[inline(always)]
        |spread| lines.next().map_or(&[][..], |line| spread.along(channel, len, line)),
    )
}

/// Two sums a channel of `f(a, b, numbers)`, block by block in order.
pub(super) fn sums<const N: usize>(
    (a, b): (&[f32], &[f32]),
    axes: Axes,
    numbers: [Vec<f32>; N],
    f: impl Fn(f32, f32, [f32; N]) -> (f64, f64) + Sync,
) -> [Vec<f64>; 2] {
    let (isa, walk) = (Isa::current(), Walk::of(axes));
    let numbers = numbers.map(|numbers| Spread::new(axes, walk, numbers));
    let block = walk.block(axes);
    let of_block = |index: usize| {
        let start = index * block;
        let len = block.min(a.len() - start);
        let (a, b) = (&a[start..][..len], &b[start..][..len]);
        let mut sums = [(); 2].map(|()| vec![0.0_f64; walk.sums(axes)]);
        vectorized(
            isa,
            #[inline(always)]
            || {
                let [first, second] = &mut sums;
                let mut lines = [[0.0; PIECE]; N];
                walk.for_each_piece(
                    axes,
                    start,
                    len,
                    #[inline(always)]
                    |from, len, channel| {
                        let numbers = along(&numbers, channel, len, &mut lines);
                        let (a, b) = (&a[from..][..len], &b[from..][..len]);
                        if let Some(channel) = channel {
                            let mut along = [[0.0; PIECE]; 2];
                            let [one, other] = &mut along;
                            add_each(&mut one[..len], &mut other[..len], a, b, numbers, &f);
                            first[channel] += one.iter().sum::<f64>();
                            second[channel] += other.iter().sum::<f64>();
                        } else {
                            add_each(&mut first[..len], &mut second[..len], a, b, numbers, &f);
                        }
                    },
                );
            },
        );
        sums
    };
    let blocks = 0..a.len().div_ceil(block);
    let parts: Vec<[Vec<f64>; 2]> = if threads::spreads(a.len() * COST_OF_A_VALUE) {
        blocks.into_par_iter().map(of_block).collect()
    } else {
        blocks.map(of_block).collect()
    };
    let mut total = [(); 2].map(|()| vec![0.0; walk.sums(axes)]);
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            total.iter_mut().zip(part).for_each(|(total, sum)| *total += sum);
        }
    }
    total.map(|sums| walk.fold(axes, &sums))
}

#[inline(always)]
fn add_each<const N: usize>(
    first: &mut [f64],
    second: &mut [f64],
    a: &[f32],
    b: &[f32],
    numbers: [&[f32]; N],
    f: &impl Fn(f32, f32, [f32; N]) -> (f64, f64),
) {
    // As long as each other, for the compiler to see.
    let (len, a, b) = (first.len(), &a[..first.len()], &b[..first.len()]);
    let (second, numbers) = (&mut second[..len], numbers.map(|numbers| &numbers[..len]));
    for i in 0..len {
        let (one, other) = f(a[i], b[i], numbers.map(|numbers| numbers[i]));
        first[i] += one;
        second[i] += other;
    }
}

/// `f(a, b, numbers)` of each pair of values and the numbers of its channel.
pub(super) fn map<const N: usize>(
    (a, b): (&[f32], &[f32]),
    axes: Axes,
    numbers: [Vec<f32>; N],
    f: impl Fn(f32, f32, [f32; N]) -> f32 + Sync,
) -> Vec<f32> {
    let (isa, walk) = (Isa::current(), Walk::of(axes));
    let numbers = numbers.map(|numbers| Spread::new(axes, walk, numbers));
    let block = walk.block(axes);
    let work = |index: usize, mut y: Unset<f32>| {
        let start = index * block;
        let (a, b) = (&a[start..][..y.len()], &b[start..][..y.len()]);
        vectorized(
            isa,
            #[inline(always)]
            || {
                let mut lines = [[0.0; PIECE]; N];
                walk.for_each_piece(
                    axes,
                    start,
                    y.len(),
                    #[inline(always)]
                    |from, len, channel| {
                        // As long as each other, for the compiler to see.
                        let numbers = along(&numbers, channel, len, &mut lines).map(|numbers| &numbers[..len]);
                        let (a, b) = (&a[from..][..len], &b[from..][..len]);
                        y.part(from..from + len).write((0..len).map(
                            #[inline(always)]
                            |i| f(a[i], b[i], numbers.map(|numbers| numbers[i])),
                        ));
                    },
                );
            },
        );
    };
    // SAFETY: the pieces of a block are all of its values.
    unsafe { threads::build_unset(a.len(), block, a.len() * COST_OF_A_VALUE, work) }
}
