//! Keras's optimisers as data: their names, parameters and defaults. The update rules are the engine's.
//!
//! Two generations of forms are read. The older one (Keras 2.3.1) calls the rate `lr` and has `decay`; the newer one (Keras 2.10) calls
//! it `learning_rate`, has `epsilon`, and other defaults for Adadelta, Adagrad, Adamax and Nadam. Which defaults hold is decided by
//! the rate's name, so that a workflow means what it meant in the form it was made with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parameter::{ParameterError, Parameters, Range};

/// The names of all optimisers, as the form and Keras spell them.
pub const NAMES: [&str; 8] = [
    "SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam", "Ftrl",
];

/// Keras's fuzz factor, the default epsilon of every adaptive optimiser.
pub const EPSILON: f64 = 1e-7;

/// An optimiser with all of its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// The update rule and the parameters that only it has.
    #[serde(flatten)]
    pub rule: Rule,
    /// The step size.
    pub learning_rate: f64,
    /// Step `t` (from 0) uses the rate `learning_rate / (1 + decay * t)`. Always 0 for Nadam, which has `schedule_decay`.
    pub decay: f64,
    /// The norm that the gradients of all weights together are scaled down to when it is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipnorm: Option<f64>,
    /// The absolute value that every gradient component is cut to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipvalue: Option<f64>,
}

/// The update rules of Keras 2.3.1, and Ftrl, which came later.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub enum Rule {
    /// Gradient descent with momentum.
    #[serde(rename = "SGD")]
    Sgd {
        /// How much of the last step is taken again.
        momentum: f64,
        /// Whether the gradient is taken as if after the momentum step (Nesterov).
        nesterov: bool,
    },
    /// Steps divided by a running root mean square of the gradient.
    #[serde(rename = "RMSprop")]
    RmsProp {
        /// How much of the running mean is kept.
        rho: f64,
        /// Added to the root mean square.
        epsilon: f64,
        /// How much of the last step is taken again (newer form; 0 in the older one).
        momentum: f64,
        /// Whether the variance is used instead of the mean square (newer form; false in the older one).
        centered: bool,
    },
    /// Steps divided by the root of the sum of all squared gradients.
    Adagrad {
        /// Added to the root.
        epsilon: f64,
        /// What the sum starts with: 0 in the older form, 0.1 in the newer one.
        initial_accumulator_value: f64,
    },
    /// Steps scaled by the running root mean squares of earlier steps and gradients.
    Adadelta {
        /// How much of the running means is kept.
        rho: f64,
        /// Added inside both roots.
        epsilon: f64,
    },
    /// Running means of the gradient and its square, corrected for their start at zero.
    Adam {
        /// How much of the running mean is kept.
        beta_1: f64,
        /// How much of the running mean square is kept.
        beta_2: f64,
        /// Added to the root, outside the correction for the start.
        epsilon: f64,
        /// Whether the largest mean square so far is used.
        amsgrad: bool,
    },
    /// Adam with the infinity norm.
    Adamax {
        /// How much of the running mean is kept.
        beta_1: f64,
        /// How much of the running maximum is kept.
        beta_2: f64,
        /// Added to the running maximum.
        epsilon: f64,
    },
    /// Adam with Nesterov momentum.
    Nadam {
        /// How much of the running mean is kept.
        beta_1: f64,
        /// How much of the running mean square is kept.
        beta_2: f64,
        /// Added to the root.
        epsilon: f64,
        /// How fast the momentum grows towards `beta_1`: `beta_1 * (1 - 0.5 * 0.96^(t * schedule_decay))`.
        schedule_decay: f64,
    },
    /// Follow the regularised leader: weights that hardly matter become exactly 0.
    Ftrl {
        /// The power of the sum of squared gradients that the rate is multiplied with; not above 0.
        learning_rate_power: f64,
        /// What that sum starts with.
        initial_accumulator_value: f64,
        /// How much the absolute size of a weight costs.
        l1_regularization_strength: f64,
        /// How much the square of a weight costs, in the state that is kept.
        l2_regularization_strength: f64,
        /// How much the square of a weight costs, in the gradient.
        l2_shrinkage_regularization_strength: f64,
        /// Added to the root of that sum.
        beta: f64,
    },
}

impl Rule {
    /// The optimiser's name, as Keras spells its class.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "SGD",
            Self::RmsProp { .. } => "RMSprop",
            Self::Adagrad { .. } => "Adagrad",
            Self::Adadelta { .. } => "Adadelta",
            Self::Adam { .. } => "Adam",
            Self::Adamax { .. } => "Adamax",
            Self::Nadam { .. } => "Nadam",
            Self::Ftrl { .. } => "Ftrl",
        }
    }
}

impl Optimizer {
    /// The optimiser's name, as Keras spells its class.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.rule.name()
    }

    /// Reads `optimizer_selection` of the form: `{"optimizer_type": "Adam", "optimizer_options": {...}}`.
    ///
    /// # Errors
    /// An unknown optimiser, a parameter it does not have, a value out of range.
    pub fn from_form(selection: &Value) -> Result<Self, ParameterError> {
        let empty = serde_json::Map::new();
        let mut fields = Parameters::new("optimizer_selection", selection.as_object().unwrap_or(&empty));
        let Some(name) = fields.text("optimizer_type")? else {
            return Err(fields.missing("optimizer_type"));
        };
        let options = fields.section("optimizer_options")?.unwrap_or(&empty);
        fields.finish()?;
        Self::from_options(name, options)
    }

    /// The optimiser called `name` (in any case: Galaxy's form writes `Adam`, the estimator's parameter is `adam`) with these options.
    ///
    /// # Errors
    /// An unknown optimiser, a parameter it does not have, a value out of range.
    pub fn from_options(name: &str, options: &serde_json::Map<String, Value>) -> Result<Self, ParameterError> {
        let Some(name) = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name)) else {
            return Err(ParameterError::unknown("optimizer", name, &NAMES));
        };
        let mut fields = Parameters::new(format!("optimizer {name}"), options);
        // Only the newer form has Ftrl, so that there it makes no difference.
        let newer = fields.has("learning_rate");
        let by_form = |older: f64, newer_default: f64| if newer { newer_default } else { older };
        let rate = match name {
            "SGD" => 0.01,
            "Adadelta" => by_form(1.0, 0.001),
            "Adamax" | "Nadam" => by_form(0.002, 0.001),
            _ => 0.001,
        };
        let older_rate = fields.number("lr", rate, Range::NotNegative)?;
        let learning_rate = fields.number("learning_rate", older_rate, Range::NotNegative)?;
        let decay = if name == "Nadam" {
            0.0
        } else {
            fields.number("decay", 0.0, Range::NotNegative)?
        };
        let rule = match name {
            "SGD" => Rule::Sgd {
                momentum: fields.number("momentum", 0.0, Range::Unit)?,
                nesterov: fields.switch("nesterov", false)?,
            },
            "RMSprop" => Rule::RmsProp {
                rho: fields.number("rho", 0.9, Range::Unit)?,
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
                momentum: fields.number("momentum", 0.0, Range::Unit)?,
                centered: fields.switch("centered", false)?,
            },
            "Adagrad" => Rule::Adagrad {
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
                initial_accumulator_value: fields.number(
                    "initial_accumulator_value",
                    by_form(0.0, 0.1),
                    Range::NotNegative,
                )?,
            },
            "Adadelta" => Rule::Adadelta {
                rho: fields.number("rho", 0.95, Range::Unit)?,
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
            },
            "Adam" => Rule::Adam {
                beta_1: fields.number("beta_1", 0.9, Range::BelowOne)?,
                beta_2: fields.number("beta_2", 0.999, Range::BelowOne)?,
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
                amsgrad: fields.switch("amsgrad", false)?,
            },
            "Adamax" => Rule::Adamax {
                beta_1: fields.number("beta_1", 0.9, Range::BelowOne)?,
                beta_2: fields.number("beta_2", 0.999, Range::BelowOne)?,
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
            },
            "Ftrl" => Rule::Ftrl {
                learning_rate_power: fields.number("learning_rate_power", -0.5, Range::NotPositive)?,
                initial_accumulator_value: fields.number("initial_accumulator_value", 0.1, Range::NotNegative)?,
                l1_regularization_strength: fields.number("l1_regularization_strength", 0.0, Range::NotNegative)?,
                l2_regularization_strength: fields.number("l2_regularization_strength", 0.0, Range::NotNegative)?,
                l2_shrinkage_regularization_strength: fields.number(
                    "l2_shrinkage_regularization_strength",
                    0.0,
                    Range::NotNegative,
                )?,
                beta: fields.number("beta", 0.0, Range::NotNegative)?,
            },
            _ => Rule::Nadam {
                beta_1: fields.number("beta_1", 0.9, Range::BelowOne)?,
                beta_2: fields.number("beta_2", 0.999, Range::BelowOne)?,
                epsilon: fields.number("epsilon", EPSILON, Range::NotNegative)?,
                schedule_decay: fields.number("schedule_decay", 0.004, Range::NotNegative)?,
            },
        };
        let clipnorm = fields.optional_number("clipnorm", Range::Positive)?;
        let clipvalue = fields.optional_number("clipvalue", Range::Positive)?;
        fields.finish()?;
        Ok(Self {
            rule,
            learning_rate,
            decay,
            clipnorm,
            clipvalue,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, options: &Value) -> Result<Optimizer, ParameterError> {
        Optimizer::from_form(&json!({"optimizer_options": options, "optimizer_type": name}))
    }

    #[test]
    fn empty_fields_of_the_older_form_take_its_defaults() {
        let rate = |name: &str| read(name, &json!({"lr": null})).expect("valid").learning_rate.to_bits();
        assert_eq!(
            NAMES.map(rate),
            [0.01, 0.001, 0.001, 1.0, 0.001, 0.002, 0.002, 0.001].map(f64::to_bits)
        );
        assert_eq!(
            read("Nadam", &json!({})).expect("valid").rule,
            Rule::Nadam {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-7,
                schedule_decay: 0.004
            }
        );
        assert_eq!(
            read("Adagrad", &json!({"lr": ""})).expect("valid").rule,
            Rule::Adagrad {
                epsilon: 1e-7,
                initial_accumulator_value: 0.0
            }
        );
    }

    #[test]
    fn empty_fields_of_the_newer_form_take_its_defaults() {
        let rate = |name: &str| {
            read(name, &json!({"learning_rate": null}))
                .expect("valid")
                .learning_rate
                .to_bits()
        };
        assert_eq!(
            NAMES.map(rate),
            [0.01, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001].map(f64::to_bits)
        );
        assert_eq!(
            read("Adagrad", &json!({"learning_rate": 0.5, "epsilon": null}))
                .expect("valid")
                .rule,
            Rule::Adagrad {
                epsilon: 1e-7,
                initial_accumulator_value: 0.1
            }
        );
    }

    #[test]
    fn every_parameter_of_the_forms_arrives() {
        let adam = read(
            "Adam",
            &json!({"lr": 0.5, "decay": 0.1, "beta_1": 0.8, "beta_2": 0.7, "amsgrad": true, "epsilon": 0.01, "clipnorm": 2}),
        )
        .expect("valid");
        assert_eq!(
            adam,
            Optimizer {
                rule: Rule::Adam {
                    beta_1: 0.8,
                    beta_2: 0.7,
                    epsilon: 0.01,
                    amsgrad: true
                },
                learning_rate: 0.5,
                decay: 0.1,
                clipnorm: Some(2.0),
                clipvalue: None,
            }
        );
        let sgd = read("sgd", &json!({"lr": "0.1", "momentum": 0.9, "nesterov": "booltrue"})).expect("valid");
        assert_eq!(
            sgd.rule,
            Rule::Sgd {
                momentum: 0.9,
                nesterov: true
            }
        );
        let rmsprop = read(
            "RMSprop",
            &json!({"learning_rate": 0.1, "momentum": 0.3, "centered": true, "rho": 0.8}),
        );
        assert_eq!(
            rmsprop.expect("valid").rule,
            Rule::RmsProp {
                rho: 0.8,
                epsilon: 1e-7,
                momentum: 0.3,
                centered: true
            }
        );
    }

    #[test]
    fn an_optimiser_survives_its_own_json() {
        for name in NAMES {
            let optimizer = read(name, &json!({"lr": 0.1})).expect("valid");
            let text = serde_json::to_string(&optimizer).expect("JSON");
            assert!(text.starts_with(&format!("{{\"name\":\"{name}\"")), "{text}");
            assert_eq!(serde_json::from_str::<Optimizer>(&text).expect("JSON"), optimizer);
        }
    }

    #[test]
    fn ftrl_has_its_own_parameters() {
        let ftrl = read(
            "Ftrl",
            &json!({"learning_rate": "0.1", "learning_rate_power": "-0.7", "initial_accumulator_value": 0.2,
                    "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02,
                    "l2_shrinkage_regularization_strength": 0.03, "beta": 0.04}),
        );
        assert_eq!(
            ftrl.expect("valid").rule,
            Rule::Ftrl {
                learning_rate_power: -0.7,
                initial_accumulator_value: 0.2,
                l1_regularization_strength: 0.01,
                l2_regularization_strength: 0.02,
                l2_shrinkage_regularization_strength: 0.03,
                beta: 0.04
            }
        );
        assert_eq!(
            read("Ftrl", &json!({"learning_rate_power": 0.5}))
                .expect_err("refused")
                .to_string(),
            "optimizer Ftrl: learning_rate_power is 0.5, but it must be a number that is not above 0"
        );
    }

    #[test]
    fn what_keras_does_not_know_is_refused() {
        let message = |name: &str, options: &Value| read(name, options).expect_err("refused").to_string();
        assert_eq!(
            message("Adan", &json!({})),
            "unknown optimizer 'Adan'; did you mean 'Adam'?"
        );
        assert_eq!(
            message("Nadam", &json!({"decay": 0.1})),
            "optimizer Nadam has no parameter 'decay'; did you mean 'schedule_decay'?"
        );
        assert_eq!(
            message("SGD", &json!({"lr": -1})),
            "optimizer SGD: lr is -1, but it must be a number that is not negative"
        );
        assert_eq!(
            Optimizer::from_form(&json!(null)).expect_err("refused").to_string(),
            "optimizer_selection: optimizer_type is missing"
        );
    }
}
