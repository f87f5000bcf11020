//! Keras's losses by name. What they compute is the engine's.

use serde::{Deserialize, Serialize};

use super::parameter::ParameterError;

/// The losses of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `-mean(y log p + (1-y) log(1-p))`, `p` cut to `[1e-7, 1-1e-7]`.
    BinaryCrossentropy,
    /// `mean((p-y)^2)`.
    MeanSquaredError,
    /// `mean(|p-y|)`.
    MeanAbsoluteError,
    /// `100 mean(|y-p| / max(|y|, 1e-7))`.
    MeanAbsolutePercentageError,
    /// `mean((log(1 + max(p, 1e-7)) - log(1 + max(y, 1e-7)))^2)`.
    MeanSquaredLogarithmicError,
    /// `mean(max(1 - y p, 0)^2)`; labels 0 and 1 become -1 and 1.
    SquaredHinge,
    /// `mean(max(1 - y p, 0))`; labels 0 and 1 become -1 and 1.
    Hinge,
    /// `max(max((1-y) p) - sum(y p) + 1, 0)`.
    CategoricalHinge,
    /// `mean(x + softplus(-2x) - log 2)`, `x = p - y`.
    Logcosh,
    /// `-sum(y log p)`, `p` scaled to sum 1 and cut to `[1e-7, 1-1e-7]`; labels are one-hot.
    CategoricalCrossentropy,
    /// As categorical crossentropy, labels are class numbers.
    SparseCategoricalCrossentropy,
    /// `sum(y log(y/p))`, both cut to `[1e-7, 1]`.
    KullbackLeiblerDivergence,
    /// `mean(p - y log(p + 1e-7))`.
    Poisson,
    /// `-sum(y/|y| p/|p|)`.
    CosineProximity,
}

/// What a loss wants the labels to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The same shape as the model's output.
    LikeOutput,
    /// One-hot rows, as wide as the model's output.
    OneHot,
    /// One class number a row, less than the model's output is wide.
    ClassNumber,
}

impl Loss {
    /// All losses, in the form's order.
    pub const ALL: [Self; 14] = [
        Self::BinaryCrossentropy,
        Self::MeanSquaredError,
        Self::MeanAbsoluteError,
        Self::MeanAbsolutePercentageError,
        Self::MeanSquaredLogarithmicError,
        Self::SquaredHinge,
        Self::Hinge,
        Self::CategoricalHinge,
        Self::Logcosh,
        Self::CategoricalCrossentropy,
        Self::SparseCategoricalCrossentropy,
        Self::KullbackLeiblerDivergence,
        Self::Poisson,
        Self::CosineProximity,
    ];

    /// The name in the form and in Keras 2.3.1.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BinaryCrossentropy => "binary_crossentropy",
            Self::MeanSquaredError => "mean_squared_error",
            Self::MeanAbsoluteError => "mean_absolute_error",
            Self::MeanAbsolutePercentageError => "mean_absolute_percentage_error",
            Self::MeanSquaredLogarithmicError => "mean_squared_logarithmic_error",
            Self::SquaredHinge => "squared_hinge",
            Self::Hinge => "hinge",
            Self::CategoricalHinge => "categorical_hinge",
            Self::Logcosh => "logcosh",
            Self::CategoricalCrossentropy => "categorical_crossentropy",
            Self::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
            Self::KullbackLeiblerDivergence => "kullback_leibler_divergence",
            Self::Poisson => "poisson",
            Self::CosineProximity => "cosine_proximity",
        }
    }

    /// The loss of this name, or of one of Keras's short and newer names for it.
    ///
    /// # Errors
    /// An unknown name.
    pub fn from_name(name: &str) -> Result<Self, ParameterError> {
        let known = match name {
            "bce" => Some(Self::BinaryCrossentropy),
            "mse" => Some(Self::MeanSquaredError),
            "mae" => Some(Self::MeanAbsoluteError),
            "mape" => Some(Self::MeanAbsolutePercentageError),
            "msle" => Some(Self::MeanSquaredLogarithmicError),
            "log_cosh" => Some(Self::Logcosh),
            "kld" | "kl_divergence" => Some(Self::KullbackLeiblerDivergence),
            "cosine" | "cosine_similarity" => Some(Self::CosineProximity),
            _ => Self::ALL.into_iter().find(|loss| loss.name() == name),
        };
        known.ok_or_else(|| ParameterError::unknown("loss", name, &Self::ALL.map(Self::name)))
    }

    /// What the labels have to be.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::SparseCategoricalCrossentropy => Target::ClassNumber,
            Self::CategoricalCrossentropy | Self::CategoricalHinge => Target::OneHot,
            _ => Target::LikeOutput,
        }
    }

    /// Says why this loss cannot teach a model whose output is `units` wide anything, if so.
    #[must_use]
    pub fn objection_to_units(self, units: usize) -> Option<String> {
        let name = self.name();
        match self {
            Self::CategoricalCrossentropy | Self::SparseCategoricalCrossentropy if units == 1 => Some(format!(
                "the loss {name} needs one output unit for each class, but the model's output has a single unit, for which it is \
                 always the same; use binary_crossentropy for two classes, or give the last layer as many units as there are classes"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_and_are_those_of_the_json() {
        for loss in Loss::ALL {
            assert_eq!(Loss::from_name(loss.name()), Ok(loss));
            assert_eq!(
                serde_json::to_string(&loss).expect("JSON"),
                format!("\"{}\"", loss.name())
            );
        }
    }

    #[test]
    fn short_names_are_understood() {
        assert_eq!(Loss::from_name("mse"), Ok(Loss::MeanSquaredError));
        assert_eq!(Loss::from_name("kl_divergence"), Ok(Loss::KullbackLeiblerDivergence));
        assert_eq!(
            Loss::from_name("binary_crossentrop").expect_err("unknown").to_string(),
            "unknown loss 'binary_crossentrop'; did you mean 'binary_crossentropy'?"
        );
    }

    #[test]
    fn categorical_crossentropy_of_a_single_unit_is_objected_to() {
        assert!(
            Loss::CategoricalCrossentropy
                .objection_to_units(1)
                .is_some_and(|why| why.contains("binary_crossentropy"))
        );
        assert_eq!(Loss::CategoricalCrossentropy.objection_to_units(2), None);
        assert_eq!(Loss::BinaryCrossentropy.objection_to_units(10), None);
    }
}
