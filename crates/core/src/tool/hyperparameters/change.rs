//! Changing an estimator's parameters before it is trained.

use serde_json::{Map, Value, json};

use super::table::{is_eligible, layer_name, rows};
use crate::keras::estimator::{BATCH_SIZE, CompileParams, Estimator, FitParams};
use crate::keras::literal::{Literal, quoted};
use crate::keras::loss::Loss;
use crate::keras::metric::Metric;
use crate::keras::optimizer::Optimizer;
use crate::keras::parameter::{Parameters, Range};
use crate::keras::suggest::{did_you_mean, near};
use crate::{Error, Result};

/// A parameter and its new value, as a person writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The parameter's name in the table: `lr`, `layers_0_Dense__config__units`.
    pub name: String,
    /// The new value as a Python literal: `0.01`, `'adamax'`, `[2, 2]`.
    pub value: String,
}

/// The parameters of [`FitParams`] under their names in the table.
const FIT: [&str; 7] = [
    "epochs",
    "batch_size",
    "steps_per_epoch",
    "validation_steps",
    "validation_split",
    "verbose",
    "seed",
];

/// Parameters of optimisers that the table leaves out while they are what they are by default.
const UNLISTED: [&str; 6] = [
    "learning_rate",
    "epsilon",
    "centered",
    "initial_accumulator_value",
    "clipnorm",
    "clipvalue",
];

/// Gives the estimator's parameters their new values, and tells for each what it was and what it is.
///
/// All changes are made before the parts are checked, so that a new optimiser can come with its own parameters. Changing only the
/// optimiser keeps the learning rate and whatever else both optimisers have.
///
/// # Errors
/// A name that the estimator does not have or that cannot be changed, a name given twice, a value that cannot be read or that its
/// parameter cannot take. The estimator's model is not checked as a whole: whoever reads it does.
pub fn apply(changes: &[Change], estimator: &mut Estimator) -> Result<Vec<String>> {
    let before = rows(estimator, None);
    let mut told = Vec::with_capacity(changes.len());
    let (mut optimizer, mut fit) = (Map::new(), Map::new());
    for (index, Change { name, value: text }) in changes.iter().enumerate() {
        let name = name.as_str();
        if changes[..index].iter().any(|other| other.name == name) {
            return Err(refused(name, "it is given two new values; keep one of them"));
        }
        let value = Literal::parse(text)
            .map_err(|error| refused(name, &format!("{error}; put a text into quotes, such as 'adamax'")))?;
        let Some(value) = value.to_json() else {
            return Err(refused(
                name,
                &format!(
                    "{value} is not a plain value: give a number, a text in quotes, True, False, None or a list of such"
                ),
            ));
        };
        told.push(format!(
            "{name}: {} -> {}",
            current(name, &before),
            Literal::from_json(&value)
        ));
        match name {
            "loss" | "metrics" => {
                let compile = compile(estimator, name)?;
                if name == "loss" {
                    compile.loss = Loss::from_name(text_of(name, &value)?)?;
                } else {
                    compile.metrics = metrics(name, &value)?;
                }
            }
            _ if name.starts_with("layers_") => *layer_parameter(estimator, name)? = value,
            _ if FIT.contains(&name) => drop(fit.insert(name.to_owned(), value)),
            _ if !before.iter().any(|(known, _)| known == name) && !UNLISTED.contains(&name) => {
                return Err(unknown(name, estimator));
            }
            "config" | "model_type" | "callbacks" | "validation_data" => {
                return Err(refused(
                    name,
                    "it cannot be changed here; create the model anew with Create deep learning model",
                ));
            }
            _ => drop(optimizer.insert(name.to_owned(), value)),
        }
    }
    if !optimizer.is_empty() {
        let compile = compile(estimator, "optimizer")?;
        compile.optimizer = changed_optimizer(&compile.optimizer, optimizer)?;
    }
    if !fit.is_empty() {
        let params = estimator.fit.as_mut().ok_or_else(|| prefitted("epochs"))?;
        change_fit(params, &fit)?;
    }
    Ok(told)
}

fn refused(name: &str, why: &str) -> Error {
    Error::Input(format!("the hyperparameter {} cannot be changed: {why}", quoted(name)))
}

fn prefitted(name: &str) -> Error {
    refused(
        name,
        "this estimator was made in the mode 'prefitted' and is not trained",
    )
}

fn unknown(name: &str, estimator: &Estimator) -> Error {
    let rows = rows(estimator, None);
    // The names of whole layers and of what is in them would be hundreds: they are found by their own kind.
    let of_layers = name.starts_with("layers_");
    let known: Vec<&str> = rows
        .iter()
        .map(|(known, _)| known.as_str())
        .filter(|known| is_eligible(known) && known.starts_with("layers_") == of_layers)
        .collect();
    let hint = if of_layers && near(name, &known).is_empty() {
        "let Create deep learning model write the table of parameters to see the names".to_owned()
    } else {
        did_you_mean(name, &known)
    };
    Error::Input(format!("the model has no hyperparameter {}; {hint}", quoted(name)))
}

/// The value before, as Python writes it.
fn current(name: &str, before: &[(String, Value)]) -> String {
    let name = if name == "learning_rate" { "lr" } else { name };
    let value = before.iter().find(|(known, _)| known == name);
    value.map_or_else(|| "None".to_owned(), |(_, value)| Literal::from_json(value).to_string())
}

fn compile<'a>(estimator: &'a mut Estimator, name: &str) -> Result<&'a mut CompileParams> {
    estimator.compile.as_mut().ok_or_else(|| prefitted(name))
}

fn text_of<'a>(name: &str, value: &'a Value) -> Result<&'a str> {
    value
        .as_str()
        .ok_or_else(|| refused(name, &format!("{} is not a text in quotes", Literal::from_json(value))))
}

fn metrics(name: &str, value: &Value) -> Result<Vec<Metric>> {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    names
        .iter()
        .map(|metric| Ok(Metric::from_name(text_of(name, metric)?)?))
        .collect()
}

/// The optimiser with some parameters changed, one of which may be its kind.
fn changed_optimizer(old: &Optimizer, mut changes: Map<String, Value>) -> Result<Optimizer> {
    if let Some(rate) = changes.remove("lr")
        && changes.insert("learning_rate".to_owned(), rate).is_some()
    {
        return Err(refused(
            "lr",
            "learning_rate is the same and is given a new value too; keep one of them",
        ));
    }
    let name = match changes.remove("optimizer") {
        Some(name) => text_of("optimizer", &name)?.to_owned(),
        None => old.name().to_owned(),
    };
    // What the new optimiser knows; its defaults hold where the old one says nothing.
    let rate = Map::from_iter([("lr".to_owned(), json!(old.learning_rate))]);
    let Value::Object(mut options) = parameters(&Optimizer::from_options(&name, &rate)?)? else {
        return Err(Error::Internal("an optimizer is no JSON object".into()));
    };
    options.remove("name");
    if name.eq_ignore_ascii_case("nadam") {
        // It has schedule_decay in its place.
        options.remove("decay");
    }
    let kept = parameters(old)?;
    for (option, value) in &mut options {
        if let Some(kept) = kept.get(option) {
            *value = kept.clone();
        }
    }
    options.extend(changes);
    Ok(Optimizer::from_options(&name, &options)?)
}

fn parameters(optimizer: &Optimizer) -> Result<Value> {
    serde_json::to_value(optimizer).map_err(|error| Error::Internal(format!("an optimizer cannot be written: {error}")))
}

fn change_fit(params: &mut FitParams, changes: &Map<String, Value>) -> Result<()> {
    let mut fields = Parameters::new("the new value of a hyperparameter", changes);
    if fields.has("epochs") {
        params.epochs = fields.optional_count("epochs", 1)?.unwrap_or(1);
    }
    if fields.has("batch_size") {
        let size = fields.optional_count("batch_size", 1)?;
        params.batch_size = size.unwrap_or(BATCH_SIZE);
    }
    if fields.has("steps_per_epoch") {
        params.steps_per_epoch = fields.optional_count("steps_per_epoch", 1)?;
    }
    if fields.has("validation_steps") {
        params.validation_steps = fields.optional_count("validation_steps", 1)?;
    }
    if fields.has("validation_split") {
        params.validation_split = fields.optional_number("validation_split", Range::BelowOne)?;
    }
    if fields.has("verbose") {
        params.verbose = fields.optional_count("verbose", 0)?;
    }
    if let Some(seed) = fields.value("seed") {
        params.random_seed = Some(
            seed.as_i64()
                .ok_or_else(|| fields.refuse("seed", seed, "a whole number"))?,
        );
    } else if fields.has("seed") {
        params.random_seed = None;
    }
    Ok(fields.finish()?)
}

/// Where `layers_0_Dense__config__units` stands in the model's JSON.
fn layer_parameter<'a>(estimator: &'a mut Estimator, name: &str) -> Result<&'a mut Value> {
    // Looked up before the model is borrowed to be changed.
    if !is_eligible(name) {
        return Err(refused(name, "names are no hyperparameters"));
    }
    if !rows(estimator, None).iter().any(|(known, _)| known == name) {
        return Err(unknown(name, estimator));
    }
    let mut steps = name.split("__");
    let first = steps.next().unwrap_or_default();
    let layers = layers_mut(&mut estimator.model).into_iter().flatten();
    let layer = layers
        .enumerate()
        .find(|(index, layer)| layer_name(*index, layer) == first);
    let mut place = layer.map(|(_, layer)| layer);
    for step in steps {
        place = place.and_then(|value| value.get_mut(step));
    }
    place.ok_or_else(|| Error::Internal(format!("{name} is listed but is not there")))
}

/// The layers of a Keras model's JSON, to be changed.
fn layers_mut(model: &mut Value) -> Option<&mut Vec<Value>> {
    let config = model.get_mut("config")?;
    let listed = config.get("layers").is_some();
    if listed { config.get_mut("layers")? } else { config }.as_array_mut()
}
