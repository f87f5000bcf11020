//! Cases of optimisers: every parameter with several values, on a small network, with each of the losses in turn.

use anyhow::{Result, bail};
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::optimizer::{NAMES, Optimizer};
use serde_json::{Map, Value, json};

use crate::layer::Chosen;
use crate::model::ModelCase;
use crate::random::Draw;

/// The rate that an optimiser is tried with: what moves weights by a few percent a step.
fn rate(name: &str) -> f64 {
    match name {
        "Adadelta" => 1.0,
        "SGD" => 0.1,
        _ => 0.01,
    }
}

/// Values for a parameter.
fn values(parameter: &str) -> Result<Vec<Value>> {
    Ok(match parameter {
        "lr" => vec![],
        "decay" => vec![json!(0.0), json!(0.01), json!(0.5)],
        "momentum" => vec![json!(0.0), json!(0.5), json!(0.9)],
        "nesterov" | "centered" | "amsgrad" => vec![json!(false), json!(true)],
        "rho" => vec![json!(0.9), json!(0.5), json!(0.99)],
        "epsilon" => vec![json!(1e-7), json!(1e-3), json!(0.1)],
        "beta_1" => vec![json!(0.9), json!(0.5), json!(0.0)],
        "beta_2" => vec![json!(0.999), json!(0.9), json!(0.5)],
        "schedule_decay" => vec![json!(0.004), json!(0.1), json!(0.0)],
        "initial_accumulator_value" => vec![json!(0.0), json!(0.1)],
        "clipnorm" => vec![json!(0.05), json!(10.0)],
        "clipvalue" => vec![json!(0.01), json!(10.0)],
        "learning_rate_power" => vec![json!(-0.5), json!(-0.3), json!(0.0)],
        "l1_regularization_strength" | "l2_regularization_strength" => vec![json!(0.0), json!(0.02)],
        "l2_shrinkage_regularization_strength" => vec![json!(0.0), json!(0.05)],
        "beta" => vec![json!(0.0), json!(0.3)],
        other => bail!("choose values for the optimizer parameter {other} in optimizer.rs"),
    })
}

/// The parameters of an optimiser: what it stores, and what only shows when it is given.
fn parameters(name: &str) -> Result<Vec<(String, Vec<Value>)>> {
    let stored = serde_json::to_value(Optimizer::from_options(name, &Map::new())?)?;
    let mut names: Vec<String> = stored
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys().cloned())
        .collect();
    names.retain(|name| name != "name" && name != "learning_rate");
    names.extend(["clipnorm".to_owned(), "clipvalue".to_owned()]);
    let mut found = Vec::new();
    for parameter in names {
        let mut values = values(&parameter)?;
        // What one optimiser has not, it refuses: Nadam's decay.
        values.retain(|value| {
            Optimizer::from_options(name, &Map::from_iter([(parameter.clone(), value.clone())])).is_ok()
        });
        if !values.is_empty() {
            found.push((parameter, values));
        }
    }
    Ok(found)
}

/// Every optimiser with every parameter.
///
/// # Errors
/// When a parameter has no values here.
pub fn optimizers(seed: u64) -> Result<Vec<ModelCase>> {
    let mut cases = Vec::new();
    let mut losses = Loss::ALL.into_iter().cycle();
    for name in NAMES {
        let mut draw = Draw::new(seed, name);
        let parameters = parameters(name)?;
        let rounds = parameters.iter().map(|(_, values)| values.len()).max().unwrap_or(1) + 3;
        for round in 0..rounds {
            let mut options = Map::from_iter([("lr".to_owned(), json!(rate(name)))]);
            for (parameter, values) in &parameters {
                // Each alone in some round, and together with others in others; the two ways to clip exclude each other.
                let clip = parameter.starts_with("clip");
                if clip && (round % 3 == 2 || options.keys().any(|known| known.starts_with("clip"))) {
                    continue;
                }
                if round < values.len() && !clip || draw.chance(0.5) {
                    let value = if clip {
                        draw.pick(values)
                    } else {
                        &values[round % values.len()]
                    };
                    options.insert(parameter.clone(), value.clone());
                }
            }
            cases.push(case(
                name,
                options,
                losses.next().unwrap_or(Loss::MeanSquaredError),
                &mut draw,
            ));
        }
        for clip in ["clipnorm", "clipvalue"] {
            for value in values(clip)? {
                let options = Map::from_iter([("lr".to_owned(), json!(rate(name))), (clip.to_owned(), value)]);
                cases.push(case(
                    name,
                    options,
                    losses.next().unwrap_or(Loss::MeanSquaredError),
                    &mut draw,
                ));
            }
        }
    }
    Ok(cases)
}

/// The activation that a loss is made for.
pub fn closing(loss: Loss) -> &'static str {
    match loss {
        Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy | Loss::KullbackLeiblerDivergence => {
            "'softmax'"
        }
        Loss::BinaryCrossentropy | Loss::Poisson | Loss::MeanSquaredLogarithmicError => "'sigmoid'",
        _ => "'linear'",
    }
}

fn case(name: &str, mut options: Map<String, Value>, loss: Loss, draw: &mut Draw) -> ModelCase {
    if loss == Loss::MeanAbsolutePercentageError {
        // It is in percent: with the others' rate, steps would leap over the minimum, and differences with them.
        options.insert("lr".to_owned(), json!(rate(name) / 100.0));
    }
    let mut listed: Vec<(String, String)> = options
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    listed.push(("loss".into(), format!("'{}'", loss.name())));
    ModelCase {
        kind: "optimizers",
        owners: vec![(name.to_owned(), listed)],
        layers: vec![
            Chosen::new(
                "Dense",
                &[
                    ("units", "4"),
                    ("activation", "'tanh'"),
                    ("kernel_constraint", "max_norm(1.0)"),
                    ("bias_regularizer", "l2(0.01)"),
                ],
            ),
            Chosen::new(
                "Dense",
                &[
                    ("units", "3"),
                    ("activation", closing(loss)),
                    ("kernel_regularizer", "l1(0.01)"),
                ],
            ),
        ],
        input: vec![3],
        graph: None,
        ids: None,
        batch: 5,
        loss,
        optimizer: (name.to_owned(), options),
        seed: draw.seed(),
        file: "h5",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_every_optimiser_is_drawn() {
        let cases = optimizers(1).unwrap();
        for name in NAMES {
            for (parameter, values) in parameters(name).unwrap() {
                for value in values {
                    assert!(
                        cases
                            .iter()
                            .any(|case| case.optimizer.0 == name && case.optimizer.1.get(&parameter) == Some(&value)),
                        "{name} {parameter}={value}"
                    );
                }
            }
        }
        assert!(
            parameters("Nadam")
                .unwrap()
                .iter()
                .all(|(parameter, _)| parameter != "decay")
        );
    }
}
