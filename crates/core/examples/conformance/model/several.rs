//! Models of several inputs or outputs. They are configured, and Keras reads them as they are meant; trained on one table they cannot
//! be, which has to be said.

use anyhow::{Context, Result};
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use serde_json::{Value, json};

use super::check::describes_the_same;
use super::configured;
use crate::case::{Case, Judge, Label, Outcome};

/// A form, and what is said when the model is to be trained.
#[derive(Clone, Debug)]
struct SeveralCase {
    inputs: &'static str,
    outputs: &'static str,
    layers: Vec<Value>,
    refusal: &'static str,
}

/// Models of two inputs, of two outputs, and of both.
pub fn several() -> Vec<Box<dyn Case>> {
    let input = |shape: &str| json!({"layer_type": "Input", "shape": shape});
    let dense = |units: usize, from: &str| json!({"layer_type": "Dense", "units": units, "inbound_nodes": from});
    let merge = |class_name: &str, from: &str| json!({"layer_type": class_name, "merging_layers": from});
    let cases = [
        SeveralCase {
            inputs: "[1, 2]",
            outputs: "[4]",
            layers: vec![input("(4,)"), input("(3,)"), dense(3, "[1]"), merge("Add", "[2, 3]")],
            refusal: "the model has 2 inputs",
        },
        SeveralCase {
            inputs: "[1]",
            outputs: "[2, 3]",
            layers: vec![input("(4, 2)"), dense(3, "[1]"), dense(1, "[2]")],
            refusal: "the model has 2 outputs",
        },
        SeveralCase {
            inputs: "[3, 1]",
            outputs: "[5, 4]",
            layers: vec![
                input("(4,)"),
                dense(3, "[1]"),
                input("(2,)"),
                merge("Concatenate", "[3, 2]"),
                dense(2, "[4]"),
            ],
            refusal: "the model has 2 inputs",
        },
    ];
    cases.into_iter().map(|case| Box::new(case) as Box<dyn Case>).collect()
}

impl SeveralCase {
    fn form(&self) -> Value {
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| json!({"layer_selection": layer}))
            .collect();
        json!({"model_selection": {
            "model_type": "functional",
            "input_layers": self.inputs,
            "output_layers": self.outputs,
            "layers": layers,
        }})
    }
}

impl Case for SeveralCase {
    fn labels(&self) -> Vec<Label> {
        vec![Label {
            kind: "graphs",
            owner: "several inputs or outputs".into(),
            option: "inputs and outputs".into(),
            value: format!("{} to {}", self.inputs, self.outputs),
        }]
    }

    fn describe(&self) -> String {
        self.form().to_string()
    }

    fn judge(&self, judge: &mut Judge) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let (model, text) = match configured(&self.form()) {
            Ok(configured) => configured,
            Err(error) => {
                outcome.fail(format!("refused: {error}"));
                return Ok(outcome);
            }
        };
        match judge.keras.ask(&json!({"kind": "description", "json": text}))? {
            Ok(answer) => {
                describes_the_same(&model, &answer, &mut outcome)?;
                let name = |index: usize| model.nodes[index].layer.name.as_str();
                let inputs: Vec<&str> = model.inputs.iter().map(|&index| name(index)).collect();
                let outputs: Vec<&str> = model.outputs.iter().map(|taken| name(taken.layer)).collect();
                outcome.same("inputs", &json!(inputs), &answer["inputs"]);
                outcome.same("outputs", &json!(outputs), &answer["outputs"]);
            }
            Err(error) => outcome.fail(format!("Keras refuses what is accepted here: {error}")),
        }
        let (_, device) = judge.devices.first().context("no backend")?;
        match Network::new(&model, &[4], Seed(0), device) {
            Ok(_) => outcome.fail("it runs, though there is one table only".into()),
            Err(error) if error.to_string().contains(self.refusal) => {}
            Err(error) => outcome.fail(format!("refused otherwise than by {}: {error}", self.refusal)),
        }
        Ok(outcome)
    }

    fn smaller(&self) -> Vec<Box<dyn Case>> {
        Vec::new()
    }
}
