//! What a batch costs before it is computed, and in which order rows are predicted best.

use super::layer::Layer;
use super::product::padded;
use super::walk::saved_widths;

/// Bytes of memory that a batch needs at most, beside its input, its output and the weights. `input_dim` is the number of embeddings when
/// the input is ids.
#[must_use]
pub fn working_bytes(layer: &Layer, batch: usize, steps: usize, input_dim: Option<usize>, training: bool) -> usize {
    let walked = batch.saturating_mul(steps);
    let mut values = 0_usize;
    if training {
        let per_step: usize = saved_widths(layer).iter().sum();
        // A batch asks for an eighth more than it needs, for the next.
        values = walked.saturating_mul(per_step + per_step / 8);
    }
    if let Some(input_dim) = input_dim {
        values = values.saturating_add(walked.min(input_dim).saturating_mul(padded(layer.columns())));
    } else if training {
        values = values.saturating_add(walked.saturating_mul(layer.features));
    }
    values.saturating_mul(size_of::<f32>())
}

/// The order in which rows of ids, `[rows, steps]`, are predicted best: rows that repeat their first id longest (padding in front) come
/// last, so that batches cut from the order share more of their first steps. Rows alike stay in order.
#[must_use]
pub fn rows_by_padding(ids: &[f32], steps: usize) -> Vec<usize> {
    let padding = |row: &[f32]| row.iter().take_while(|&&id| id.to_bits() == row[0].to_bits()).count();
    let mut order: Vec<(usize, usize)> = ids.chunks_exact(steps.max(1)).map(padding).enumerate().collect();
    order.sort_by_key(|&(_, padding)| padding);
    order.into_iter().map(|(row, _)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Cell};
    use super::*;

    #[test]
    fn rows_with_the_most_padding_come_last() {
        let ids = [0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0];
        assert_eq!(rows_by_padding(&ids, 3), [1, 3, 0, 2]);
    }

    #[test]
    fn a_batch_is_estimated_by_what_it_keeps() {
        let cell = Cell::Lstm {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        };
        let layer = Layer {
            cell,
            features: 32,
            units: 100,
            return_sequences: false,
            go_backwards: false,
        };
        assert_eq!(working_bytes(&layer, 128, 500, None, false), 0);
        // 600 numbers a step and an eighth more, and the input's gradient.
        assert_eq!(working_bytes(&layer, 128, 500, None, true), 64_000 * (675 + 32) * 4);
        assert_eq!(working_bytes(&layer, 1, 50, Some(10_000), false), 50 * 416 * 4);
    }
}
