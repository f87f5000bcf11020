//! Keras's metrics by name: which function stands behind a name, and which name the training log reports. What they compute is the
//! engine's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::loss::Loss;
use super::parameter::{self, ParameterError};

/// The functions behind the metrics of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// One of the three accuracies below; which one depends on the loss and on the output, see [`MetricKind::resolve`].
    Accuracy,
    /// Share of outputs on the right side of 0.5: `mean(y == (p > 0.5))`.
    BinaryAccuracy,
    /// Share of rows whose largest output is at the largest label.
    CategoricalAccuracy,
    /// Share of rows whose largest output is at the label's class number.
    SparseCategoricalAccuracy,
    /// `mean((p-y)^2)`.
    MeanSquaredError,
    /// `mean(|p-y|)`.
    MeanAbsoluteError,
    /// `100 mean(|y-p| / max(|y|, 1e-7))`.
    MeanAbsolutePercentageError,
    /// `sum(y/|y| p/|p|)`: as a metric without the minus sign that it has as a loss.
    CosineProximity,
}

/// A metric under the name that the user gave it, which is the name that Keras reports it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    kind: MetricKind,
    name: &'static str,
}

/// Every name that is understood. The form offers the short ones; the long ones are Keras's other names for the same functions.
const NAMES: [(&str, MetricKind); 14] = [
    ("acc", MetricKind::Accuracy),
    ("accuracy", MetricKind::Accuracy),
    ("binary_accuracy", MetricKind::BinaryAccuracy),
    ("categorical_accuracy", MetricKind::CategoricalAccuracy),
    ("sparse_categorical_accuracy", MetricKind::SparseCategoricalAccuracy),
    ("mse", MetricKind::MeanSquaredError),
    ("mean_squared_error", MetricKind::MeanSquaredError),
    ("mae", MetricKind::MeanAbsoluteError),
    ("mean_absolute_error", MetricKind::MeanAbsoluteError),
    ("mape", MetricKind::MeanAbsolutePercentageError),
    (
        "mean_absolute_percentage_error",
        MetricKind::MeanAbsolutePercentageError,
    ),
    ("cosine_proximity", MetricKind::CosineProximity),
    ("cosine", MetricKind::CosineProximity),
    ("cosine_similarity", MetricKind::CosineProximity),
];

impl Metric {
    /// Every name that is understood.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The metric of this name.
    ///
    /// # Errors
    /// An unknown name.
    pub fn from_name(name: &str) -> Result<Self, ParameterError> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(name, kind)| Self { kind, name })
            .ok_or_else(|| ParameterError::unknown("metric", name, &NAMES.map(|(known, _)| known)))
    }

    /// Reads the form's multi-select.
    ///
    /// The choice `none` stands for no metric and is dropped. In the original form the option labelled "mape" sent `mae`, so a `mae`
    /// that comes twice says that both were ticked, and the second one is taken for `mape`. Any other repetition counts once.
    ///
    /// # Errors
    /// An unknown name, or a value that is no multi-select.
    pub fn from_form(value: Option<&Value>) -> Result<Vec<Self>, ParameterError> {
        let mut metrics: Vec<Self> = Vec::new();
        for name in parameter::choices("compile_params", "metrics", value)? {
            if name.eq_ignore_ascii_case("none") {
                continue;
            }
            let mut metric = Self::from_name(&name)?;
            if metric.name == "mae" && metrics.contains(&metric) {
                metric = Self::from_name("mape")?;
            }
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        Ok(metrics)
    }

    /// The name that the log reports, as the user gave it: `acc` stays `acc`, `mse` stays `mse`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The function behind the name.
    #[must_use]
    pub fn kind(&self) -> MetricKind {
        self.kind
    }
}

impl MetricKind {
    /// Chooses the accuracy that "accuracy" stands for, as Keras does; every other metric stands for itself.
    ///
    /// `units` is the size of the output's last axis.
    #[must_use]
    pub fn resolve(self, loss: Loss, units: usize) -> Self {
        match self {
            Self::Accuracy if units == 1 || loss == Loss::BinaryCrossentropy => Self::BinaryAccuracy,
            Self::Accuracy if loss == Loss::SparseCategoricalCrossentropy => Self::SparseCategoricalAccuracy,
            Self::Accuracy => Self::CategoricalAccuracy,
            other => other,
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(value: &Value) -> Vec<&'static str> {
        Metric::from_form(Some(value))
            .expect("valid")
            .iter()
            .map(Metric::name)
            .collect()
    }

    #[test]
    fn both_shapes_of_the_multi_select_are_read() {
        assert_eq!(names(&json!("acc,mse")), ["acc", "mse"]);
        assert_eq!(names(&json!(["cosine", "mape"])), ["cosine", "mape"]);
    }

    #[test]
    fn nothing_chosen_is_no_metric() {
        for nothing in [json!("None"), json!(null), json!([]), json!("none"), json!(["none"])] {
            assert!(names(&nothing).is_empty());
        }
        assert_eq!(names(&json!("acc,none")), ["acc"]);
    }

    #[test]
    fn the_second_mae_of_the_original_form_is_its_mape() {
        assert_eq!(names(&json!("mse,mae,mae")), ["mse", "mae", "mape"]);
        assert_eq!(names(&json!(["acc", "acc"])), ["acc"]);
    }

    #[test]
    fn accuracy_is_resolved_by_loss_and_output() {
        let accuracy = |loss, units| MetricKind::Accuracy.resolve(loss, units);
        assert_eq!(accuracy(Loss::MeanSquaredError, 1), MetricKind::BinaryAccuracy);
        assert_eq!(accuracy(Loss::BinaryCrossentropy, 10), MetricKind::BinaryAccuracy);
        assert_eq!(
            accuracy(Loss::SparseCategoricalCrossentropy, 10),
            MetricKind::SparseCategoricalAccuracy
        );
        assert_eq!(
            accuracy(Loss::CategoricalCrossentropy, 10),
            MetricKind::CategoricalAccuracy
        );
        assert_eq!(
            MetricKind::MeanSquaredError.resolve(Loss::BinaryCrossentropy, 1),
            MetricKind::MeanSquaredError
        );
    }

    #[test]
    fn unknown_metrics_are_refused_with_the_near_one() {
        assert_eq!(
            Metric::from_form(Some(&json!("acc,binary_acuracy")))
                .expect_err("unknown")
                .to_string(),
            "unknown metric 'binary_acuracy'; did you mean 'binary_accuracy'?"
        );
    }
}
