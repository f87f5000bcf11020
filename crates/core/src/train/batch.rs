//! One batch: what its rows cost and how the weights should change, computed in pieces that stay in the processor's caches.
//!
//! The loss of a batch is the mean over its rows, and so are penalties on activities; penalties on weights are the same for each piece.
//! So loss and gradients of a batch are the means of those of its pieces, each weighted by its rows.

use super::samples::Samples;
use crate::keras::loss::Loss;
use crate::nn::layer::Pass;
use crate::nn::network::{Network, Trained};
use crate::nn::random::Seed;
use crate::nn::threads;
use crate::{Error, Result};

/// Loss, predictions and gradients of the rows `rows` of `samples` in training step `step`.
///
/// # Errors
/// When the engine fails.
pub fn gradients(
    network: &Network,
    samples: &Samples,
    rows: &[usize],
    loss: Loss,
    seed: Seed,
    step: u64,
) -> Result<Trained> {
    let pieces = threads::even_pieces(rows.len(), network.piece_rows(rows.len(), true));
    let mut whole: Option<Trained> = None;
    let of_piece = |number: usize| {
        let rows_of_piece = &rows[pieces[number].clone()];
        let (x, truth) = samples.gather(rows_of_piece);
        let mut pass = Pass {
            piece: number as u64,
            ..Pass::training(seed, step)
        };
        let mut trained = network.gradients(x, truth, loss, &mut pass)?;
        if pieces.len() > 1 {
            scale(&mut trained, rows_of_piece.len() as f64 / rows.len() as f64);
        }
        Ok::<_, Error>(trained)
    };
    threads::in_order(pieces.len(), of_piece, |trained| match &mut whole {
        None => whole = Some(trained),
        Some(whole) => add(whole, trained),
    })?;
    Ok(whole.unwrap_or_default())
}

fn scale(trained: &mut Trained, share: f64) {
    trained.loss *= share;
    for gradient in trained.gradients.iter_mut().flatten() {
        for value in gradient {
            *value *= share as f32;
        }
    }
}

fn add(whole: &mut Trained, piece: Trained) {
    whole.loss += piece.loss;
    whole.predicted.extend(piece.predicted);
    for (sum, gradient) in whole.gradients.iter_mut().zip(piece.gradients) {
        if let (Some(sum), Some(gradient)) = (sum, gradient) {
            for (sum, value) in sum.iter_mut().zip(gradient) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keras::model::Model;
    use crate::nn::device;

    /// Results of 400 KB a row, so that a batch of 80 rows is cut.
    fn network() -> Network {
        let model = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
            {"class_name": "Conv2D", "config": {
                "name": "c", "batch_input_shape": [null, 40, 40, 1], "filters": 64, "kernel_size": [3, 3], "activation": "tanh"
            }},
            {"class_name": "MaxPooling2D", "config": {"name": "p", "pool_size": [8, 8]}},
            {"class_name": "Flatten", "config": {"name": "f"}},
            {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "softmax"}}
        ]}});
        let model = Model::from_value(&model).unwrap();
        Network::new(&model, &[40, 40, 1], Seed(3), &device::default().unwrap()).unwrap()
    }

    fn samples(rows: usize) -> Samples {
        let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 8 & 0xFFFF) as f32 / 65_536.0 - 0.5;
        let truth = |row: usize| (0..3).map(move |class| f32::from(u8::from(row % 3 == class)));
        Samples {
            x: (0..rows * 1600).map(noise).collect(),
            row: 1600,
            truth: (0..rows).flat_map(truth).collect(),
            truth_row: 3,
        }
    }

    #[test]
    fn a_batch_is_cut_into_an_even_number_of_pieces() {
        let network = network();
        let pieces = |rows: usize| threads::even_pieces(rows, network.piece_rows(rows, true)).len();
        assert_eq!([1, 32, 33, 80, 100, 500].map(pieces), [1, 1, 2, 4, 4, 16]);
    }

    #[test]
    fn a_batch_in_pieces_gives_the_gradients_of_the_whole() {
        let (network, samples, loss) = (network(), samples(80), Loss::CategoricalCrossentropy);
        let rows: Vec<usize> = (0..80).rev().collect();
        assert!(network.piece_rows(80, true) < 80, "the batch is cut");
        let pieces = gradients(&network, &samples, &rows, loss, Seed(1), 0).unwrap();
        let (x, truth) = samples.gather(&rows);
        let whole = network
            .gradients(x, truth, loss, &mut Pass::training(Seed(1), 0))
            .unwrap();
        assert!(
            (pieces.loss - whole.loss).abs() < 1e-6,
            "{} {}",
            pieces.loss,
            whole.loss
        );
        assert_eq!(pieces.predicted.len(), whole.predicted.len());
        for (a, b) in pieces.predicted.iter().zip(&whole.predicted) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in pieces.gradients.iter().zip(&whole.gradients) {
            let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
            let largest = b.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 1e-5 * largest, "{a} {b} of {largest}");
            }
        }
    }

    #[test]
    fn pieces_give_the_same_bytes_on_any_number_of_threads() {
        let (network, samples) = (network(), samples(200));
        let rows: Vec<usize> = (0..200).rev().collect();
        let run = || {
            let loss = Loss::CategoricalCrossentropy;
            let trained = gradients(&network, &samples, &rows, loss, Seed(1), 0).unwrap();
            (trained.loss, trained.predicted, trained.gradients)
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 3, 7] {
            assert!(threads::pool(count).unwrap().install(run) == alone, "{count} threads");
        }
    }
}
