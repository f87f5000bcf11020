use std::collections::BTreeSet;

use super::*;
use crate::plot::canvas::{Rgb, WHITE};

const TITLE: &str = "Confusion matrix between true and predicted labels";

fn matrix(labels: &[&str], counts: &[u32]) -> ConfusionMatrix {
    assert_eq!(labels.len() * labels.len(), counts.len());
    ConfusionMatrix {
        labels: labels.iter().map(ToString::to_string).collect(),
        counts: counts.to_vec(),
    }
}

/// Classes 0..n, every count different from its neighbours'.
fn numbered(classes: u32) -> ConfusionMatrix {
    let labels: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let counts = (0..classes * classes).map(|cell| {
        if cell % (classes + 1) == 0 {
            900 + cell
        } else {
            cell % 31
        }
    });
    ConfusionMatrix {
        labels,
        counts: counts.collect(),
    }
}

fn plan(data: &ConfusionMatrix, title: &str) -> Layout {
    Layout::plan(&Font::embedded().unwrap(), data, title)
}

/// Colours of a rectangle's pixels.
fn colors(canvas: &Canvas, rect: Rect) -> BTreeSet<Rgb> {
    (rect.top..rect.bottom)
        .flat_map(|row| (rect.left..rect.right).map(move |column| (column, row)))
        .filter_map(|(column, row)| canvas.get(column, row))
        .collect()
}

fn has_ink(canvas: &Canvas, rect: Rect) -> bool {
    colors(canvas, rect)
        .iter()
        .any(|color| color.iter().all(|&channel| channel < 128))
}

/// What the positions of a layout are, for reading in a diff.
fn describe(layout: &Layout) -> String {
    let rect = |Rect {
                    left,
                    top,
                    right,
                    bottom,
                }: Rect| format!("{left},{top} to {right},{bottom}");
    let labels = &layout.labels;
    let texts: Vec<&str> = labels.texts.iter().map(|(_, text)| text.as_str()).collect();
    let bar: Vec<String> = layout
        .bar_ticks
        .iter()
        .map(|(row, text)| format!("{text} at {row}"))
        .collect();
    format!(
        "matrix {}\nlabels {:.1} px, below running {:?}: {}\ncounts {:.1?} px\nbar {}: {}\ntitle {:.1} px: {:?}\n",
        rect(layout.matrix),
        labels.size,
        labels.horizontal_side,
        texts.join(" "),
        layout.count_size,
        rect(layout.bar),
        bar.join(", "),
        layout.title_size,
        layout.title,
    )
}

#[test]
fn pairs_are_counted_by_true_row_and_predicted_column() {
    // As scikit-learn's confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2]).
    let counted = ConfusionMatrix::count(&[2, 0, 2, 2, 0, 1], &[0, 0, 2, 2, 0, 2]).unwrap();
    assert_eq!(counted.labels(), ["0", "1", "2"]);
    assert_eq!(counted.rows().collect::<Vec<_>>(), [[2, 0, 0], [0, 0, 1], [1, 0, 2]]);
}

#[test]
fn classes_are_the_labels_of_either_side() {
    let counted = ConfusionMatrix::count(&["b", "b"], &["c", "a"]).unwrap();
    assert_eq!(counted, matrix(&["a", "b", "c"], &[0, 0, 0, 1, 0, 1, 0, 0, 0]));
}

#[test]
fn more_classes_than_pixels_are_refused() {
    let most: Vec<u16> = (0..MAX_CLASSES).collect();
    let canvas = ConfusionMatrix::count(&most, &most)
        .unwrap()
        .draw(TITLE, ColorMap::Greens)
        .unwrap();
    assert_eq!(canvas.size(), (875, 875));
    let more: Vec<u16> = (0..=MAX_CLASSES).collect();
    let message = ConfusionMatrix::count(&more, &more).unwrap_err().to_string();
    assert!(
        message.starts_with("there are 401 different class labels and a confusion matrix shows at most 400"),
        "{message}"
    );
}

#[test]
fn the_picture_has_the_originals_size() {
    let canvas = numbered(3).draw(TITLE, ColorMap::Greens).unwrap();
    assert_eq!(canvas.size(), (875, 875));
}

#[test]
fn cells_have_the_colour_of_their_count() {
    let data = matrix(&["0", "1"], &[10_397, 2103, 1281, 11_219]);
    for map in [ColorMap::Greens, ColorMap::RdYlGn, ColorMap::Winter] {
        let (canvas, layout) = (data.draw(TITLE, map).unwrap(), plan(&data, TITLE));
        let span = f64::from(11_219 - 1281);
        for (row, column, share) in [(0, 0, 9116.0 / span), (0, 1, 822.0 / span), (1, 0, 0.0), (1, 1, 1.0)] {
            let cell = layout.cell(row, column);
            // The count stands in the middle: its corners show the colour alone, up to the cell's very edge.
            for (x, y) in [
                (cell.left, cell.top),
                (cell.right - 1, cell.top),
                (cell.left, cell.bottom - 1),
            ] {
                assert_eq!(canvas.get(x, y), Some(map.color(share)), "{map:?} {row} {column}");
            }
        }
    }
}

#[test]
fn counts_are_white_on_dark_cells_and_black_on_light_ones() {
    let data = matrix(&["0", "1"], &[8, 0, 0, 8]);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Greens).unwrap(), plan(&data, TITLE));
    let (dark, light) = (colors(&canvas, layout.cell(0, 0)), colors(&canvas, layout.cell(0, 1)));
    assert!(dark.contains(&WHITE) && !dark.contains(&BLACK));
    assert!(light.contains(&BLACK) && !light.contains(&WHITE));
}

#[test]
fn counts_are_centred_in_their_cells() {
    let data = matrix(&["0", "1"], &[8, 0, 0, 8]);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Greens).unwrap(), plan(&data, TITLE));
    let cell = layout.cell(0, 1);
    let paper = ColorMap::Greens.color(0.0);
    let inked: Vec<(i32, i32)> = (cell.top..cell.bottom)
        .flat_map(|row| (cell.left..cell.right).map(move |column| (column, row)))
        .filter(|&(column, row)| canvas.get(column, row) != Some(paper))
        .collect();
    let middle = |values: Vec<i32>| (values.iter().min().unwrap() + values.iter().max().unwrap() + 1) / 2;
    let (x, y) = cell.center();
    assert!((middle(inked.iter().map(|at| at.0).collect()) - x).abs() <= 1);
    assert!((middle(inked.iter().map(|at| at.1).collect()) - y).abs() <= 1);
}

#[test]
fn a_matrix_of_one_class_is_not_shown_as_empty() {
    let data = matrix(&["0"], &[7]);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Greens).unwrap(), plan(&data, TITLE));
    assert_eq!(
        canvas.get(layout.matrix.left, layout.matrix.top),
        Some(ColorMap::Greens.color(1.0))
    );
    assert_eq!(layout.bar_ticks.first().unwrap().1, "0");
    assert_eq!(layout.bar_ticks.last().unwrap().1, "7");
}

#[test]
fn the_colour_bar_runs_from_the_smallest_count_up_to_the_largest() {
    let data = numbered(4);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Spectral).unwrap(), plan(&data, TITLE));
    let bar = layout.bar;
    assert_eq!(
        canvas.get(bar.left, bar.bottom - 1),
        Some(ColorMap::Spectral.color(0.0))
    );
    assert_eq!(canvas.get(bar.right - 1, bar.top), Some(ColorMap::Spectral.color(1.0)));
    assert_eq!((bar.top, bar.bottom), (layout.matrix.top, layout.matrix.bottom));
    // A tick lies at the row that has its value's colour.
    let (row, label) = &layout.bar_ticks[2];
    let share = label.parse::<f64>().unwrap() / 915.0;
    let at_tick = canvas.get(bar.left, *row).unwrap();
    let expected = ColorMap::Spectral.color(share);
    assert!(
        at_tick.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3),
        "{at_tick:?} {expected:?}"
    );
}

#[test]
fn ticks_lie_at_the_middle_of_each_class() {
    let data = matrix(&["-3", "AML", "x"], &[5, 1, 0, 2, 9, 0, 0, 0, 4]);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Greens).unwrap(), plan(&data, TITLE));
    for class in 0..3 {
        let (x, y) = layout.cell(class, class).center();
        assert_eq!(canvas.get(layout.matrix.left - 4, y), Some(BLACK));
        assert_eq!(canvas.get(layout.matrix.left - 4, y + 1), Some(WHITE));
        assert_eq!(canvas.get(x, layout.matrix.bottom + 4), Some(BLACK));
        assert_eq!(canvas.get(x + 1, layout.matrix.bottom + 4), Some(WHITE));
    }
}

#[test]
fn all_texts_are_there() {
    let data = numbered(3);
    let (canvas, layout) = (data.draw(TITLE, ColorMap::Greens).unwrap(), plan(&data, TITLE));
    let Rect {
        left,
        top,
        right,
        bottom,
    } = layout.matrix;
    let side = i32::from(layout::SIDE);
    assert!(
        has_ink(
            &canvas,
            Rect {
                left,
                top: top - 30,
                right,
                bottom: top - 2
            }
        ),
        "title"
    );
    assert!(
        has_ink(
            &canvas,
            Rect {
                left,
                top: bottom + 30,
                right,
                bottom: bottom + 70
            }
        ),
        "predicted class labels"
    );
    assert!(
        has_ink(
            &canvas,
            Rect {
                left: 0,
                top,
                right: left - 35,
                bottom
            }
        ),
        "true class labels"
    );
    assert!(
        has_ink(
            &canvas,
            Rect {
                left: layout.bar.right + 10,
                top,
                right: side,
                bottom
            }
        ),
        "colour bar"
    );

    let untitled = data.draw("", ColorMap::Greens).unwrap();
    let top = plan(&data, "").matrix.top;
    assert!(
        !has_ink(
            &untitled,
            Rect {
                left: 0,
                top: 0,
                right: side,
                bottom: top - 2
            }
        ),
        "no title"
    );
}

#[test]
fn nothing_is_drawn_on_the_margin() {
    let name = "a label that is far too long to be written beside a matrix without being shortened";
    let long = matrix(&[name, "short"], &[4_000_000_000, 1, 2, 3]);
    let title = "many words ".repeat(60);
    for (data, title) in [
        (long, title.as_str()),
        (numbered(2), TITLE),
        (numbered(130), ""),
        (numbered(17), TITLE),
    ] {
        let canvas = data.draw(title, ColorMap::Greens).unwrap();
        for rect in [(0, 0, 875, 14), (0, 861, 875, 875), (0, 0, 14, 875), (861, 0, 875, 875)] {
            let (left, top, right, bottom) = rect;
            let margin = colors(
                &canvas,
                Rect {
                    left,
                    top,
                    right,
                    bottom,
                },
            );
            assert_eq!(
                margin,
                BTreeSet::from([WHITE]),
                "{} classes, {rect:?}",
                data.labels().len()
            );
        }
    }
}

#[test]
fn a_title_that_does_not_fit_is_wrapped_then_shrunk_then_cut() {
    let data = numbered(2);
    let line = plan(&data, TITLE);
    assert_eq!(line.title.len(), 1);
    let wrapped = plan(&data, &format!("{TITLE} of the model that was trained for ten epochs"));
    assert_eq!((wrapped.title.len(), wrapped.title_size), (2, line.title_size));
    let shrunk = plan(&data, &"many words ".repeat(18));
    assert!(shrunk.title_size < line.title_size, "{}", shrunk.title_size);
    let cut = plan(&data, &"many words ".repeat(60));
    assert_eq!(cut.title.len(), 4);
    assert!(cut.title[3].0.contains('\u{2026}'));
}

#[test]
fn counts_shrink_with_the_cells_and_vanish_before_they_get_illegible() {
    let sizes: Vec<Option<f32>> = [2, 10, 20, 60]
        .into_iter()
        .map(|classes| plan(&numbered(classes), TITLE).count_size)
        .collect();
    assert!(
        sizes[0] > sizes[1] && sizes[1] > sizes[2] && sizes[2].is_some(),
        "{sizes:?}"
    );
    assert_eq!(sizes[3], None);
}

#[test]
fn cells_tile_the_matrix() {
    for classes in [1, 7, 133] {
        let layout = plan(&numbered(u32::from(classes)), TITLE);
        assert_eq!(
            (layout.cell(0, 0).left, layout.cell(0, 0).top),
            (layout.matrix.left, layout.matrix.top)
        );
        let last = layout.cell(classes - 1, classes - 1);
        assert_eq!((last.right, last.bottom), (layout.matrix.right, layout.matrix.bottom));
        for class in 1..classes {
            assert_eq!(layout.cell(0, class).left, layout.cell(0, class - 1).right);
        }
    }
}

#[test]
fn layouts_of_short_long_and_many_labels() {
    insta::assert_snapshot!(describe(&plan(&numbered(10), TITLE)), @r#"
    matrix 71,85 to 750,764
    labels 17.4 px, below running Right: 0 1 2 3 4 5 6 7 8 9
    counts Some(17.4) px
    bar 776,85 to 810,764: 0 at 763, 200 at 627, 400 at 492, 600 at 356, 800 at 220
    title 20.8 px: [("Confusion matrix between true and predicted labels", 74)]
    "#);
    let names = ["acute lymphoblastic leukaemia", "acute myeloid leukaemia", "healthy"];
    insta::assert_snapshot!(describe(&plan(&matrix(&names, &[9, 1, 0, 2, 8, 0, 0, 0, 4]), "")), @r#"
    matrix 249,61 to 772,584
    labels 17.4 px, below running Up: acute lympho…aemia acute myeloi…aemia healthy
    counts Some(27.8) px
    bar 798,61 to 832,584: 0 at 583, 1 at 525, 2 at 467, 3 at 409, 4 at 351, 5 at 293, 6 at 235, 7 at 177, 8 at 119, 9 at 61
    title 20.8 px: []
    "#);
    insta::assert_snapshot!(describe(&plan(&numbered(60), TITLE)), @r#"
    matrix 77,93 to 739,755
    labels 13.9 px, below running Up: 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38 40 42 44 46 48 50 52 54 56 58
    counts None px
    bar 765,93 to 799,755: 0 at 754, 500 at 681, 1000 at 607, 1500 at 534, 2000 at 460, 2500 at 387, 3000 at 313, 3500 at 240, 4000 at 166
    title 20.8 px: [("Confusion matrix between true and predicted labels", 82)]
    "#);
}
