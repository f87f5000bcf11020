//! What a network predicts, and how the tools write it down.

use std::io::{self, Write};

use crate::galaxy::inputs::TableInput;
use crate::galaxy::table::Matrix;
use crate::nn::kernels::recurrent;
use crate::nn::kernels::rows::gather;
use crate::nn::network::Network;
use crate::nn::threads;
use crate::train::metrics::largest;
use crate::{Error, Result};

/// Rows that are run through a network at once: enough to keep it busy, few enough that memory does not grow with the table.
const BATCH: usize = 512;
/// What these may take, on each thread; of wide networks fewer rows are run at once.
const BATCH_BYTES: usize = 64 << 20;

/// The outputs of a network for some rows.
#[derive(Debug)]
pub(super) struct Predictions {
    /// `[rows, width]`, row by row.
    pub values: Vec<f32>,
    /// Outputs a row.
    pub width: usize,
}

impl Predictions {
    /// The outputs for these rows of `x`, which has `row` values a row.
    pub(super) fn of_rows(network: &Network, x: &[f32], row: usize, rows: &[usize]) -> Result<Self> {
        let width: usize = network.output_shape().iter().product();
        let mut values = vec![0.0; rows.len() * width];
        // Padded sequences share their beginning: rows with as much padding are best predicted together.
        let order = match network.ids() {
            Some(_) if rows.len() * row == x.len() => recurrent::rows_by_padding(x, row),
            Some(_) => recurrent::rows_by_padding(&gather(x, row, rows), row),
            None => (0..rows.len()).collect(),
        };
        let at_once = network.rows_within(BATCH_BYTES, network.piece_rows(BATCH, false));
        let pieces: Vec<&[usize]> = order.chunks(at_once).collect();
        let of_piece = |piece: usize| {
            let picked: Vec<usize> = pieces[piece].iter().map(|&place| rows[place]).collect();
            let predicted = network.predict(gather(x, row, &picked))?;
            Ok::<_, Error>((pieces[piece], predicted))
        };
        threads::in_order(pieces.len(), of_piece, |(places, predicted)| {
            for (&place, outputs) in places.iter().zip(predicted.chunks_exact(width.max(1))) {
                values[place * width..(place + 1) * width].copy_from_slice(outputs);
            }
        })?;
        Ok(Self { values, width })
    }

    /// The outputs for all rows of `x`.
    pub(super) fn of_all(network: &Network, x: &Matrix) -> Result<Self> {
        Self::of_rows(network, &x.values, x.columns, &(0..x.rows).collect::<Vec<_>>())
    }

    /// The outputs of each row.
    pub(super) fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// The class of each row: of two classes the second where the one output is above 0.5, else the class of the largest output.
    pub(super) fn classes(&self, count: usize) -> Vec<usize> {
        let class = |row: &[f32]| match row {
            [p] => usize::from(*p > 0.5),
            _ => largest(row),
        };
        self.rows().map(|row| class(row).min(count.saturating_sub(1))).collect()
    }

    /// The probability of each class, `[rows, classes]`: one output is that of the second of two classes.
    pub(super) fn probabilities(&self) -> Vec<f32> {
        match self.width {
            1 => self.values.iter().flat_map(|&p| [1.0 - p, p]).collect(),
            _ => self.values.clone(),
        }
    }

    /// 1 where an output is above 0.5, else 0.
    pub(super) fn indicators(&self) -> Vec<f32> {
        self.values.iter().map(|&p| f32::from(u8::from(p > 0.5))).collect()
    }
}

/// Refuses input that an embedding at the network's beginning does not know.
pub(super) fn check_ids(network: &Network, x: &Matrix, table: &TableInput) -> Result<()> {
    let Some((count, layer)) = network.ids() else {
        return Ok(());
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "an embedding knows far fewer ids than the 2^24 that f32 tells apart"
    )]
    let known = |value: f32| value >= 0.0 && value.fract() == 0.0 && value < count as f32;
    let Some(index) = x.values.iter().position(|&value| !known(value)) else {
        return Ok(());
    };
    let (row, column) = (index / x.columns, index % x.columns);
    let name = x
        .names
        .as_ref()
        .map_or_else(String::new, |names| format!(" ('{}')", names[column]));
    Err(Error::Input(format!(
        "{}: data row {}, column {}{name} holds {}, but layer {layer} looks up whole numbers from 0 to {}: raise its input_dim, or \
         correct the table",
        table.path.display(),
        row + 1,
        column + 1,
        x.values[index],
        count.saturating_sub(1)
    )))
}

/// Writes the headers 0, 1, ... that pandas gives to columns without names.
pub(super) fn write_header(file: &mut dyn Write, columns: usize) -> io::Result<()> {
    let names: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
    writeln!(file, "{}", names.join("\t"))
}

/// Writes the predictions for rows held out: probabilities of a classifier's classes, or a regressor's values, as C's `%g`.
pub(super) fn write_held_out(file: &mut dyn Write, predictions: &Predictions, classifier: bool) -> io::Result<()> {
    let (values, width) = match (classifier, predictions.width) {
        (true, 1) => (predictions.probabilities(), 2),
        (_, width) => (predictions.values.clone(), width),
    };
    write_header(file, width)?;
    for row in values.chunks_exact(width.max(1)) {
        let cells: Vec<String> = row.iter().map(|&value| six_digits(value)).collect();
        writeln!(file, "{}", cells.join("\t"))?;
    }
    Ok(())
}

/// The shortest text that reads back as the same 32-bit number, in Python's spelling: `0.1`, `70.21287`, `1e-07`.
pub(super) fn shortest(value: f32) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else {
            value.to_string()
        };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        return format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let plain = value.to_string();
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// Six significant digits, as C's `%g`.
pub(super) fn six_digits(value: f32) -> String {
    if !value.is_finite() {
        return shortest(value);
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        trim(&format!("{value:.decimals$}"))
    } else {
        format!(
            "{}e{}{:02}",
            trim(digits),
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `'%g' % x` and `str(numpy.float32(x))` of Python.
    #[test]
    fn numbers_are_spelt_as_in_python() {
        let cases: [(f32, &str, &str); 9] = [
            (0.0, "0", "0.0"),
            (0.1, "0.1", "0.1"),
            (70.212_87, "70.2129", "70.21287"),
            (1.0, "1", "1.0"),
            (1e-7, "1e-07", "1e-07"),
            (0.000_123_456_78, "0.000123457", "0.00012345678"),
            (1_234_567.0, "1.23457e+06", "1234567.0"),
            (-2.5e20, "-2.5e+20", "-2.5e+20"),
            (999_999.5, "1e+06", "999999.5"),
        ];
        for (value, six, all) in cases {
            assert_eq!(six_digits(value), six);
            assert_eq!(shortest(value), all);
        }
    }

    #[test]
    fn one_output_is_the_probability_of_the_second_class() {
        let predictions = Predictions {
            values: vec![0.25, 0.75, 0.5],
            width: 1,
        };
        assert_eq!(predictions.classes(2), [0, 1, 0]);
        assert_eq!(predictions.probabilities(), [0.75, 0.25, 0.25, 0.75, 0.5, 0.5]);
    }

    #[test]
    fn the_largest_of_several_outputs_is_the_class() {
        let predictions = Predictions {
            values: vec![0.2, 0.5, 0.3, 0.6, 0.1, 0.3],
            width: 3,
        };
        assert_eq!(predictions.classes(3), [1, 0]);
        assert_eq!(predictions.indicators(), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
