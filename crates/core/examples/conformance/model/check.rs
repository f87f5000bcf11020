//! A model here and in Keras.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use galaxy_burn_core::keras::model::Model;
use galaxy_burn_core::keras::optimizer::Optimizer;
use galaxy_burn_core::keras::shape::WeightSpec;
use galaxy_burn_core::keras::weights;
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::train::optimizer::Updater;
use serde_json::{Value, json};

use super::{ModelCase, STEPS, truth};
use crate::case::{Judge, Outcome};
use crate::deviation::{Quantity, relative, relative_number, worst};
use crate::random::Draw;
use crate::tensor::{self, Tensor};

/// Asks Keras once, then compares on every backend.
pub fn judge(case: &ModelCase, judge: &mut Judge) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let (model, text) = match case.configured() {
        Ok(configured) => configured,
        Err(error) => {
            outcome.fail(format!("refused: {error}"));
            return Ok(outcome);
        }
    };
    let devices = judge.devices.clone();
    let (_, first) = devices.first().context("no backend")?;
    let mut draw = Draw::new(case.seed, "data");
    let x = case.x(&mut draw);
    let start = match case.started(&model, first) {
        Ok(network) => network,
        Err(error) => {
            outcome.fail(format!("refused: {error}"));
            return Ok(outcome);
        }
    };
    let output = [&[case.batch], start.output_shape()].concat();
    let goal = truth(case.loss, &output, &mut draw);
    let ours = judge.directory.path().join("ours.h5");
    let theirs = judge.directory.path().join(format!("keras.{}", case.file));
    std::fs::write(&ours, weights::write(&start.to_layer_weights())?)?;
    let trains = case.trains() && !start.masked_output();
    let mut question = json!({
        "kind": "model",
        "json": text,
        "weights": ours,
        "inputs": [x.to_json()],
        "save": theirs,
    });
    if trains {
        question["training"] = json!({
            "truth": goal.to_json(),
            "loss": case.loss.name(),
            "optimizer": {"name": case.optimizer.0, "options": case.optimizer.1},
            "steps": STEPS,
        });
    }
    let answer = match judge.keras.ask(&question)? {
        Ok(answer) => answer,
        Err(error) => {
            outcome.fail(format!("Keras refuses what is accepted here: {error}"));
            return Ok(outcome);
        }
    };
    describes_the_same(&model, &answer, &mut outcome)?;
    for (backend, device) in &devices {
        // A network of its own for each part: stateful layers remember what they saw.
        let network = || case.started(&model, device);
        let compared = Compared {
            case,
            backend,
            x: &x,
            truth: &goal,
            answer: &answer,
        };
        compared.prediction(&network()?, "prediction", Quantity::Prediction, &mut outcome)?;
        if trains {
            compared.gradients(&network()?, &mut outcome)?;
            let trained = compared.steps(network()?, &mut outcome)?;
            let mut rested = network()?;
            for (weight, trained) in rested.weights_mut().iter_mut().zip(trained.weights()) {
                weight.values.clone_from(&trained.values);
            }
            compared.prediction(&rested, "prediction_after", Quantity::TwentySteps, &mut outcome)?;
        }
        compared.file(&theirs, device, &mut outcome)?;
    }
    Ok(outcome)
}

/// JSON, shapes, names and numbers of weights.
pub fn describes_the_same(model: &Model, answer: &Value, outcome: &mut Outcome) -> Result<()> {
    let text = answer["json"].as_str().context("no JSON")?;
    match Model::from_json(text) {
        Ok(theirs) => {
            let (ours, theirs) = (model.shapes(None)?, theirs.shapes(None));
            match theirs {
                Ok(theirs) => outcome.same("shapes from Keras's JSON", &ours, &theirs),
                Err(error) => outcome.fail(format!("Keras's JSON of the model is refused: {error}")),
            }
        }
        Err(error) => outcome.fail(format!("Keras's JSON of the model is refused: {error}")),
    }
    let shapes = model.shapes(None)?;
    let weights = shapes.iter().flat_map(|shapes| &shapes.weights);
    let parameters: u64 = weights.map(WeightSpec::parameters).sum();
    outcome.same("number of parameters", &json!(parameters), &answer["parameters"]);
    let theirs = answer["layers"].as_array().context("no layers")?;
    outcome.same("number of layers", &shapes.len(), &theirs.len());
    for ((node, ours), theirs) in model.nodes.iter().zip(&shapes).zip(theirs) {
        let name = &node.layer.name;
        outcome.same("name of a layer", &json!(name), &theirs["name"]);
        outcome.same(
            &format!("output of {name}"),
            &json!(ours.outputs().collect::<Vec<_>>()),
            &theirs["outputs"],
        );
        let weights: Vec<Value> = ours
            .weights
            .iter()
            .map(|weight| json!([weight.name, weight.shape, weight.trainable]))
            .collect();
        outcome.same(
            &format!("weights of {name}"),
            &Value::Array(weights),
            &theirs["weights"],
        );
    }
    Ok(())
}

struct Compared<'a> {
    case: &'a ModelCase,
    backend: &'a str,
    x: &'a Tensor,
    truth: &'a Tensor,
    answer: &'a Value,
}

impl Compared<'_> {
    fn tensors(&self, quantity: Quantity, what: &str, ours: &[f32], keras: &Tensor, outcome: &mut Outcome) {
        outcome.compare(quantity, relative(ours, keras), || {
            format!("{what} on {}: {}", self.backend, worst(ours, keras))
        });
    }

    fn prediction(&self, network: &Network, answer: &str, quantity: Quantity, outcome: &mut Outcome) -> Result<()> {
        let keras = Tensor::from_json(&self.answer[answer])?;
        let ours = network.predict(self.x.values.clone())?;
        self.tensors(quantity, answer, &ours, &keras, outcome);
        Ok(())
    }

    fn gradients(&self, network: &Network, outcome: &mut Outcome) -> Result<()> {
        let mut pass = Pass::training(Seed(0), 0);
        let trained = network.gradients(
            self.x.values.clone(),
            self.truth.values.clone(),
            self.case.loss,
            &mut pass,
        )?;
        let keras = tensor::number(&self.answer["loss"])?;
        outcome.compare(Quantity::Loss, relative_number(trained.loss, keras), || {
            format!("on {}: {}, in Keras {keras}", self.backend, trained.loss)
        });
        let keras = tensor::list(&self.answer["gradients"])?;
        let named = network.weights().iter().zip(&trained.gradients);
        let ours: Vec<_> = named
            .filter_map(|(weight, gradient)| gradient.as_ref().map(|g| (&weight.name, g)))
            .collect();
        outcome.same("number of gradients", &ours.len(), &keras.len());
        for ((name, ours), keras) in ours.into_iter().zip(&keras) {
            self.tensors(Quantity::Gradient, name, ours, keras, outcome);
        }
        Ok(())
    }

    fn steps(&self, mut network: Network, outcome: &mut Outcome) -> Result<Network> {
        let optimizer = Optimizer::from_options(&self.case.optimizer.0, &self.case.optimizer.1)?;
        let lengths: Vec<usize> = network.weights().iter().map(|weight| weight.values.len()).collect();
        let mut updater = Updater::new(optimizer, &lengths);
        let mut done = 0;
        let after = self.answer["after"].as_array().context("no steps")?;
        for (steps, after) in STEPS.into_iter().zip(after) {
            while done < steps {
                let mut pass = Pass::training(Seed(0), done as u64);
                let (x, truth) = (self.x.values.clone(), self.truth.values.clone());
                let trained = network.gradients(x, truth, self.case.loss, &mut pass)?;
                galaxy_burn_core::train::fit::apply(&mut network, &mut updater, trained.gradients, trained.updates);
                done += 1;
            }
            let quantity = if steps == 1 {
                Quantity::OneStep
            } else {
                Quantity::TwentySteps
            };
            let keras = tensor::list(after)?;
            outcome.same("number of weights", &network.weights().len(), &keras.len());
            for (weight, keras) in network.weights().iter().zip(&keras) {
                self.tensors(quantity, &weight.name, &weight.values, keras, outcome);
            }
        }
        Ok(network)
    }

    /// What Keras saved, here: the network is built from Keras's own JSON.
    fn file(&self, path: &Path, device: &Device, outcome: &mut Outcome) -> Result<()> {
        let Ok(model) = Model::from_json(self.answer["json"].as_str().unwrap_or_default()) else {
            return Ok(());
        };
        let loaded = || -> galaxy_burn_core::Result<Network> {
            let mut network = Network::new(&model, &self.case.input, Seed(0), device)?;
            let bytes = std::fs::read(path).unwrap_or_default();
            network.load(weights::read_for(bytes, &model)?)?;
            Ok(network)
        };
        match loaded() {
            Ok(network) => self.prediction(&network, "prediction_after", Quantity::Prediction, outcome)?,
            Err(error) => outcome.fail(format!("Keras's file {}: {error}", self.case.file)),
        }
        Ok(())
    }
}
