//! The table of an estimator's parameters, from which the form of Deep learning training offers those that can be changed.
//!
//! Three columns: a mark (`@` eligible for change, `*` not), the parameter's path, and `path: value` with the value as Python writes it.
//! The paths are those of the original tool: `lr`, `layers_0_Dense__config__kernel_initializer__config__seed`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::keras::estimator::{Estimator, FitParams};
use crate::keras::literal::Literal;
use crate::keras::metric::Metric;
use crate::keras::optimizer::{EPSILON, Optimizer, Rule};

/// Longer values of nested parameters are cut.
const VALUE_LIMIT: usize = 100;

/// Names that end like this are not offered: they are no hyperparameters.
const NOT_ELIGIBLE: [&str; 6] = ["n_jobs", "pre_dispatch", "memory", "name", "nthread", "_path"];

/// The table of an estimator that is to be trained; `callbacks` are the form's, as the original shows them.
#[must_use]
pub fn table(estimator: &Estimator, callbacks: Option<&Value>) -> String {
    let rows = rows(estimator, callbacks);
    let mut table = String::from("\tParameter\tValue\n");
    for (name, value) in &rows {
        let mark = if is_eligible(name) { '@' } else { '*' };
        let mut text = Literal::from_json(value).to_string();
        if value.is_object() {
            text = text.chars().take(VALUE_LIMIT).collect();
        }
        // Writing to a text does not fail.
        let _ = writeln!(table, "{mark}\t{name}\t{name}: {text}");
    }
    table.push_str("\tNote:\t@: can be changed in Deep learning training and evaluation.\n");
    table
}

/// Whether the parameter is one that can be changed.
pub(super) fn is_eligible(name: &str) -> bool {
    !NOT_ELIGIBLE.iter().any(|ending| name.ends_with(ending))
}

/// All parameters with their values, in the table's order.
pub(super) fn rows(estimator: &Estimator, callbacks: Option<&Value>) -> Vec<(String, Value)> {
    let mut rows = compile_and_fit(estimator, callbacks);
    for (index, layer) in layers(&estimator.model).iter().enumerate() {
        descend(&layer_name(index, layer), layer, &mut rows);
    }
    let config = estimator.model.get("config").cloned().unwrap_or(Value::Null);
    rows.push(("config".to_owned(), config));
    rows.sort_by(|(a, _), (b, _)| depth(a).cmp(&depth(b)).then_with(|| a.cmp(b)));
    rows
}

/// The layers of a Keras model's JSON. Models of Keras before 2.2.3 have them in place of the configuration.
fn layers(model: &Value) -> &[Value] {
    let config = model.get("config").unwrap_or(&Value::Null);
    let layers = config.get("layers").unwrap_or(config);
    layers.as_array().map_or(&[], Vec::as_slice)
}

/// What the parameters of the layer at `index` begin with: `layers_0_Dense`.
pub(super) fn layer_name(index: usize, layer: &Value) -> String {
    let class = layer.get("class_name").and_then(Value::as_str).unwrap_or_default();
    format!("layers_{index}_{class}")
}

/// A parameter and, if it is an object, everything in it.
fn descend(path: &str, value: &Value, rows: &mut Vec<(String, Value)>) {
    rows.push((path.to_owned(), value.clone()));
    if let Value::Object(entries) = value {
        for (key, inner) in entries {
            descend(&format!("{path}__{key}"), inner, rows);
        }
    }
}

/// How deep a parameter lies; from the third level on it does not matter any more.
fn depth(path: &str) -> usize {
    (path.matches("__").count() + 1).min(3)
}

/// The parameters of the estimator itself. Those that its optimiser does not have are `None`.
fn compile_and_fit(estimator: &Estimator, callbacks: Option<&Value>) -> Vec<(String, Value)> {
    let mut rows: Vec<(&str, Value)> = Vec::new();
    let model_type = if estimator.model.get("class_name").and_then(Value::as_str) == Some("Sequential") {
        "sequential"
    } else {
        "functional"
    };
    rows.push(("model_type", json!(model_type)));
    if let Some(compile) = &estimator.compile {
        rows.push(("loss", json!(compile.loss.name())));
        rows.push((
            "metrics",
            json!(compile.metrics.iter().map(Metric::name).collect::<Vec<_>>()),
        ));
        rows.push(("optimizer", json!(compile.optimizer.name().to_lowercase())));
        rows.extend(optimizer_parameters(&compile.optimizer));
    }
    if let Some(fit) = &estimator.fit {
        let FitParams {
            epochs,
            batch_size,
            steps_per_epoch,
            validation_steps,
            validation_split,
            callbacks: _,
            random_seed,
            verbose,
        } = fit;
        rows.push(("epochs", json!(epochs)));
        rows.push(("batch_size", json!(batch_size)));
        rows.push(("steps_per_epoch", json!(steps_per_epoch)));
        rows.push(("validation_data", Value::Null));
        rows.push(("validation_steps", json!(validation_steps)));
        if validation_split.is_some() {
            rows.push(("validation_split", json!(validation_split)));
        }
        rows.push(("seed", json!(random_seed)));
        rows.push(("verbose", json!(verbose.unwrap_or(0))));
        rows.push(("callbacks", callbacks.cloned().unwrap_or(Value::Null)));
    }
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// All optimisers' parameters under the names of the older form; those of the newer form only where they say something else than it
/// would.
#[expect(
    clippy::too_many_lines,
    reason = "the parameters of all optimisers side by side, a few lines each"
)]
fn optimizer_parameters(optimizer: &Optimizer) -> Vec<(&'static str, Value)> {
    let mut rows = vec![
        ("lr", json!(optimizer.learning_rate)),
        (
            "decay",
            if optimizer.name() == "Nadam" {
                Value::Null
            } else {
                json!(optimizer.decay)
            },
        ),
    ];
    let mut momentum = Value::Null;
    let mut nesterov = Value::Null;
    let mut rho = Value::Null;
    let mut betas = (Value::Null, Value::Null);
    let mut amsgrad = Value::Null;
    let mut schedule_decay = Value::Null;
    let mut fuzz = EPSILON;
    match optimizer.rule {
        Rule::Sgd {
            momentum: m,
            nesterov: n,
        } => {
            momentum = json!(m);
            nesterov = json!(n);
        }
        Rule::RmsProp {
            rho: r,
            epsilon,
            momentum: m,
            centered,
        } => {
            rho = json!(r);
            fuzz = epsilon;
            if m != 0.0 {
                momentum = json!(m);
            }
            if centered {
                rows.push(("centered", json!(true)));
            }
        }
        Rule::Adagrad {
            epsilon,
            initial_accumulator_value,
        } => {
            fuzz = epsilon;
            if initial_accumulator_value != 0.0 {
                rows.push(("initial_accumulator_value", json!(initial_accumulator_value)));
            }
        }
        Rule::Adadelta { rho: r, epsilon } => {
            rho = json!(r);
            fuzz = epsilon;
        }
        Rule::Adam {
            beta_1,
            beta_2,
            epsilon,
            amsgrad: a,
        } => {
            betas = (json!(beta_1), json!(beta_2));
            amsgrad = json!(a);
            fuzz = epsilon;
        }
        Rule::Adamax {
            beta_1,
            beta_2,
            epsilon,
        } => {
            betas = (json!(beta_1), json!(beta_2));
            fuzz = epsilon;
        }
        Rule::Nadam {
            beta_1,
            beta_2,
            epsilon,
            schedule_decay: s,
        } => {
            betas = (json!(beta_1), json!(beta_2));
            schedule_decay = json!(s);
            fuzz = epsilon;
        }
        Rule::Ftrl {
            learning_rate_power,
            initial_accumulator_value,
            l1_regularization_strength,
            l2_regularization_strength,
            l2_shrinkage_regularization_strength,
            beta,
        } => rows.extend([
            ("learning_rate_power", json!(learning_rate_power)),
            ("initial_accumulator_value", json!(initial_accumulator_value)),
            ("l1_regularization_strength", json!(l1_regularization_strength)),
            ("l2_regularization_strength", json!(l2_regularization_strength)),
            (
                "l2_shrinkage_regularization_strength",
                json!(l2_shrinkage_regularization_strength),
            ),
            ("beta", json!(beta)),
        ]),
    }
    if fuzz.to_bits() != EPSILON.to_bits() {
        rows.push(("epsilon", json!(fuzz)));
    }
    rows.extend([
        ("momentum", momentum),
        ("nesterov", nesterov),
        ("rho", rho),
        ("beta_1", betas.0),
        ("beta_2", betas.1),
        ("amsgrad", amsgrad),
        ("schedule_decay", schedule_decay),
    ]);
    rows
}
