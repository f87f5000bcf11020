//! Create deep learning model: joins a model configuration with loss, optimiser and fit parameters (to be trained), or with weights
//! (to predict at once), to an estimator.

mod form;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::hyperparameters;
use crate::galaxy::inputs;
use crate::galaxy::output::Outputs;
use crate::keras::callback::Callback;
use crate::keras::estimator::{CompileParams, Container, Estimator, FitParams, LearningType};
use crate::keras::file_kind::FileKind;
use crate::keras::literal::float_repr;
use crate::keras::metric::Metric;
use crate::keras::model::{Model, ModelError};
use crate::keras::shape::{LayerShapes, display};
use crate::keras::weights::{self, LayerWeights, Weight};
use crate::{Error, Result};

use form::{Form, ModeSelection, TrainModel};

/// The file in the working directory that becomes the dataset of parameters, when they are asked for.
pub const PARAMETERS: &str = "params.tabular";

/// Reads the form from `inputs`, writes the estimator (see [`Container::file_name`]) and, if asked for, [`PARAMETERS`] into `output_dir`, and returns a summary.
///
/// # Errors
/// The form, the model configuration or the weights cannot be read or do not fit together, or an output cannot be written. No output
/// appears then.
pub fn run(inputs: &Path, output_dir: &Path) -> Result<String> {
    let form: Form = inputs::read(inputs)?;
    let plan = match &form.mode_selection {
        ModeSelection::TrainModel(form) => to_be_trained(form)?,
        ModeSelection::Prefitted {
            infile_json,
            infile_weights,
        } => prefitted(
            infile_json.required("infile_json")?,
            infile_weights.required("infile_weights")?,
        )?,
    };
    let packed = plan.estimator.pack(plan.container, plan.weights.as_deref())?;
    let mut outputs = Outputs::in_dir(output_dir);
    outputs.write(plan.container.file_name(), |file| file.write_all(&packed))?;
    if let Some(table) = &plan.parameters {
        outputs.write(PARAMETERS, |file| file.write_all(table.as_bytes()))?;
    }
    outputs.commit()?;
    Ok(plan.summary)
}

/// What is written when everything fits together.
struct Plan {
    estimator: Estimator,
    container: Container,
    weights: Option<Vec<u8>>,
    parameters: Option<String>,
    summary: String,
}

fn to_be_trained(form: &TrainModel) -> Result<Plan> {
    let file = form.infile_json.required("infile_json")?;
    let Configuration { value, model, shapes } = Configuration::read(file)?;
    let learning_type = form.learning_type()?;
    let compile = form.compile()?;
    let fit = form.fit()?;
    let units = shapes.as_ref().and_then(|shapes| *shapes.last()?.output.last()?);
    if let Some(objection) = units.and_then(|units| compile.loss.objection_to_units(units)) {
        return Err(Error::Input(objection));
    }
    let estimator = Estimator {
        learning_type,
        model: value,
        compile: Some(compile),
        fit: Some(fit),
        fitted: None,
    };
    let parameters = form
        .get_params
        .0
        .then(|| hyperparameters::table(&estimator, form.fit_params.get("callbacks")));
    let summary = describe(&estimator, &model, shapes.as_deref());
    Ok(Plan {
        estimator,
        container: form.estimator_format,
        weights: None,
        parameters,
        summary,
    })
}

fn prefitted(configuration: &Path, weights_file: &Path) -> Result<Plan> {
    let Configuration { value, model, shapes } = Configuration::read(configuration)?;
    let Some(shapes) = shapes else {
        return Err(Error::Model(ModelError::NoInputShape).in_file(configuration));
    };
    let read = || -> Result<Vec<LayerWeights>> {
        let found = weights::read_for(read_file(weights_file)?, &model)?;
        let expected: Vec<(String, Vec<Vec<usize>>)> = model
            .nodes
            .iter()
            .zip(&shapes)
            .map(|(node, shapes)| {
                (
                    node.layer.name.clone(),
                    shapes.weights.iter().map(|weight| weight.shape.clone()).collect(),
                )
            })
            .collect();
        let values = weights::assign(&expected, found)?;
        // Under the model's own names, whatever they were called where they come from.
        Ok(model
            .nodes
            .iter()
            .zip(&shapes)
            .zip(values)
            .map(|((node, shapes), values)| named(node, shapes, values))
            .collect())
    };
    let layers = read().map_err(|error| match error {
        error @ Error::Read { .. } => error,
        error => error.in_file(weights_file),
    })?;
    let archived = weights::write(&layers)?;
    let estimator = Estimator {
        learning_type: LearningType::Prefitted,
        model: value,
        compile: None,
        fit: None,
        fitted: None,
    };
    let summary = describe(&estimator, &model, Some(&shapes));
    Ok(Plan {
        estimator,
        container: Container::Zip,
        weights: Some(archived),
        parameters: None,
        summary,
    })
}

fn named(node: &crate::keras::model::Node, shapes: &LayerShapes, values: Vec<Vec<f32>>) -> LayerWeights {
    let layer = &node.layer.name;
    let weights = shapes.weights.iter().zip(values).map(|(spec, values)| Weight {
        name: format!("{layer}/{}:0", spec.name),
        shape: spec.shape.clone(),
        values,
    });
    LayerWeights {
        layer: layer.clone(),
        weights: weights.collect(),
    }
}

/// A model configuration that was read and understood.
struct Configuration {
    /// The JSON as it was given.
    value: Value,
    model: Model,
    /// Every layer's shapes; none when the model does not say its input's.
    shapes: Option<Vec<LayerShapes>>,
}

impl Configuration {
    fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let understand = || -> Result<Self> {
            // A whole model, saved by Keras, has its configuration inside.
            let inside = weights::configuration(&bytes)?;
            let bytes = inside.as_ref().map_or(bytes.as_slice(), |text| text.as_bytes());
            let text = match (FileKind::of(bytes), std::str::from_utf8(bytes)) {
                (FileKind::Json | FileKind::Text, Ok(text)) => text.trim_start_matches('\u{feff}'),
                (kind, _) => {
                    return Err(Error::Input(format!(
                        "this is {}, not a model configuration; give the JSON that Create a deep learning model architecture \
                         wrote",
                        kind.describe()
                    )));
                }
            };
            let value: Value = serde_json::from_str(text).map_err(ModelError::Json)?;
            let model = Model::from_value(&value)?;
            let shapes = match model.shapes(None) {
                Ok(shapes) => Some(shapes),
                Err(ModelError::NoInputShape) => None,
                Err(error) => return Err(error.into()),
            };
            Ok(Self { value, model, shapes })
        };
        understand().map_err(|error| error.in_file(path))
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })
}

/// The estimator in a few lines.
fn describe(estimator: &Estimator, model: &Model, shapes: Option<&[LayerShapes]>) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = write!(text, "{}: {} layers", estimator.learning_type.name(), model.nodes.len());
    if let Some(shapes) = shapes {
        let count: usize = shapes
            .iter()
            .flat_map(|layer| &layer.weights)
            .map(|weight| weight.shape.iter().product::<usize>())
            .sum();
        let _ = write!(text, ", {count} parameters");
        if let (Some(first), Some(last)) = (shapes.first().and_then(|first| first.inputs.first()), shapes.last()) {
            let _ = write!(text, ", input {}, output {}", display(first), display(&last.output));
        }
    }
    text.push('\n');
    if let Some(CompileParams {
        loss,
        optimizer,
        metrics,
    }) = &estimator.compile
    {
        let _ = writeln!(text, "loss: {}", loss.name());
        let _ = writeln!(
            text,
            "optimizer: {}, learning rate {}",
            optimizer.name(),
            float_repr(optimizer.learning_rate)
        );
        let names: Vec<&str> = metrics.iter().map(Metric::name).collect();
        let _ = writeln!(
            text,
            "metrics: {}",
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        );
    }
    if let Some(FitParams {
        epochs,
        batch_size,
        callbacks,
        ..
    }) = &estimator.fit
    {
        let names: Vec<&str> = callbacks.iter().map(Callback::name).collect();
        let callbacks = if names.is_empty() {
            String::new()
        } else {
            format!("; callbacks: {}", names.join(", "))
        };
        let _ = writeln!(text, "fit: {epochs} epochs, batches of {batch_size}{callbacks}");
    }
    text
}

#[cfg(test)]
mod tests;
