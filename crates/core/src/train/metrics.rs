//! Keras's metrics, kept as running means over the batches of an epoch.

use crate::keras::loss::Loss;
use crate::keras::metric::{Metric, MetricKind};
use crate::nn::kernels::loss::LossFunction;

/// One metric's running mean.
#[derive(Clone, Debug)]
pub struct RunningMetric {
    name: &'static str,
    kind: MetricKind,
    sum: f64,
    rows: usize,
}

impl RunningMetric {
    /// The metric before the first batch. `loss` and `width`, the size of the output's last axis, decide what `acc` stands for.
    #[must_use]
    pub fn new(metric: &Metric, loss: Loss, width: usize) -> Self {
        Self {
            name: metric.name(),
            kind: metric.kind().resolve(loss, width),
            sum: 0.0,
            rows: 0,
        }
    }

    /// The name it is reported by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Takes a batch in: rows of `width` predictions, and as many truths or one class index a row.
    pub fn add(&mut self, truth: &[f32], predicted: &[f32], width: usize) {
        let rows = predicted.len() / width.max(1);
        if rows > 0 {
            self.sum += mean(self.kind, truth, predicted, width) * rows as f64;
            self.rows += rows;
        }
    }

    /// The mean over all rows so far, and a fresh start.
    pub fn take(&mut self) -> f64 {
        let mean = self.sum / self.rows.max(1) as f64;
        (self.sum, self.rows) = (0.0, 0);
        mean
    }
}

/// The mean of a metric over the rows of one batch.
fn mean(kind: MetricKind, truth: &[f32], predicted: &[f32], width: usize) -> f64 {
    let rows = predicted.len() / width;
    let truth_width = truth.len() / rows;
    let pairs = || {
        (0..rows).map(|row| {
            (
                &truth[row * truth_width..][..truth_width],
                &predicted[row * width..][..width],
            )
        })
    };
    let share = |hit: &dyn Fn(&[f32], &[f32]) -> f64| pairs().map(|(t, p)| hit(t, p)).sum::<f64>() / rows as f64;
    let loss = |loss| {
        // A single class index a row stands against each of the row's outputs.
        let broadcast: Vec<f32>;
        let truth = if truth_width == width {
            truth
        } else {
            broadcast = truth.iter().flat_map(|&t| std::iter::repeat_n(t, width)).collect();
            &broadcast
        };
        LossFunction { loss, logits_of: None }.mean(truth, predicted, width, None)
    };
    match kind {
        MetricKind::Accuracy | MetricKind::BinaryAccuracy => share(&|t, p| {
            let hits = p
                .iter()
                .enumerate()
                .filter(|&(i, &p)| t[i.min(t.len() - 1)] == f32::from(u8::from(p > 0.5)));
            hits.count() as f64 / p.len() as f64
        }),
        MetricKind::CategoricalAccuracy => share(&|t, p| f64::from(u8::from(largest(t) == largest(p)))),
        MetricKind::SparseCategoricalAccuracy => share(&|t, p| f64::from(u8::from(t[0] as usize == largest(p)))),
        MetricKind::MeanSquaredError => loss(Loss::MeanSquaredError),
        MetricKind::MeanAbsoluteError => loss(Loss::MeanAbsoluteError),
        MetricKind::MeanAbsolutePercentageError => loss(Loss::MeanAbsolutePercentageError),
        MetricKind::CosineProximity => -loss(Loss::CosineProximity),
    }
}

/// The index of the largest value, the first of equals.
#[must_use]
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, loss: Loss, truth: &[f32], predicted: &[f32], width: usize) -> f64 {
        let metric = Metric::from_name(name).expect("a known metric");
        let mut running = RunningMetric::new(&metric, loss, width);
        // In two batches, the second one smaller: the mean is over rows, not over batches.
        let (rows, truth_width) = (predicted.len() / width, truth.len() * width / predicted.len());
        let first = rows - 1;
        running.add(&truth[..first * truth_width], &predicted[..first * width], width);
        running.add(&truth[first * truth_width..], &predicted[first * width..], width);
        running.take()
    }

    #[test]
    fn acc_counts_what_the_loss_and_the_output_make_of_it() {
        let sigmoid = value("acc", Loss::BinaryCrossentropy, &[1.0, 0.0, 1.0], &[0.9, 0.8, 0.2], 1);
        assert!((sigmoid - 1.0 / 3.0).abs() < 1e-12);
        let one_hot = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        let softmax = [0.6, 0.4, 0.7, 0.3, 0.1, 0.9];
        assert!((value("acc", Loss::CategoricalCrossentropy, &one_hot, &softmax, 2) - 2.0 / 3.0).abs() < 1e-12);
        let sparse = value(
            "acc",
            Loss::SparseCategoricalCrossentropy,
            &[0.0, 1.0, 1.0],
            &softmax,
            2,
        );
        assert!((sparse - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn errors_are_means_over_all_outputs() {
        let (truth, predicted) = ([1.0, 2.0, 4.0], [2.0, 2.0, 1.0]);
        assert!((value("mse", Loss::MeanSquaredError, &truth, &predicted, 1) - 10.0 / 3.0).abs() < 1e-6);
        assert!((value("mae", Loss::MeanSquaredError, &truth, &predicted, 1) - 4.0 / 3.0).abs() < 1e-6);
        assert!((value("mape", Loss::MeanSquaredError, &truth, &predicted, 1) - 175.0 / 3.0).abs() < 1e-4);
    }
}
