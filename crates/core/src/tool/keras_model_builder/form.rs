//! The form of Create deep learning model, in the shapes of all its versions, and its checked meaning.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::galaxy::inputs::{DatasetPath, Flag, OptionalInteger};
use crate::keras::callback::Callback;
use crate::keras::estimator::{BATCH_SIZE, CompileParams, Container, FitParams, LearningType};
use crate::keras::loss::Loss;
use crate::keras::metric::Metric;
use crate::keras::optimizer::Optimizer;
use crate::keras::parameter::{ParameterError, Parameters, Range};

#[derive(Deserialize)]
pub(super) struct Form {
    pub mode_selection: ModeSelection,
}

#[derive(Deserialize)]
#[serde(rename = "mode_type")]
pub(super) enum ModeSelection {
    #[serde(rename = "train_model")]
    TrainModel(TrainModel),
    #[serde(rename = "prefitted")]
    Prefitted {
        #[serde(default)]
        infile_json: DatasetPath,
        #[serde(default)]
        infile_weights: DatasetPath,
    },
}

#[derive(Deserialize)]
pub(super) struct TrainModel {
    #[serde(default)]
    pub infile_json: DatasetPath,
    learning_type: String,
    compile_params: Map<String, Value>,
    pub fit_params: Map<String, Value>,
    #[serde(default)]
    random_seed: OptionalInteger,
    /// Only the older form asks for it.
    #[serde(default)]
    pub get_params: Flag,
    /// A hidden field of the newer form, whose estimators are HDF5 files.
    #[serde(default)]
    pub estimator_format: Container,
}

impl TrainModel {
    pub fn learning_type(&self) -> Result<LearningType> {
        let known = [LearningType::KerasGClassifier, LearningType::KerasGRegressor];
        match known.into_iter().find(|known| known.name() == self.learning_type) {
            Some(learning_type) => Ok(learning_type),
            None => Err(
                ParameterError::unknown("learning type", &self.learning_type, &known.map(LearningType::name)).into(),
            ),
        }
    }

    pub fn compile(&self) -> Result<CompileParams> {
        let mut fields = Parameters::new("compile_params", &self.compile_params);
        let loss = match fields.text("loss")? {
            Some(name) => Loss::from_name(name)?,
            None => return Err(fields.missing("loss").into()),
        };
        let optimizer = match fields.value("optimizer_selection") {
            Some(selection) => Optimizer::from_form(selection)?,
            None => return Err(fields.missing("optimizer_selection").into()),
        };
        let metrics = Metric::from_form(fields.value("metrics"))?;
        fields.finish()?;
        Ok(CompileParams {
            loss,
            optimizer,
            metrics,
        })
    }

    pub fn fit(&self) -> Result<FitParams> {
        let mut fields = Parameters::new("fit_params", &self.fit_params);
        let epochs = fields.optional_count("epochs", 1)?.unwrap_or(1);
        let batch_size = fields.optional_count("batch_size", 1)?.unwrap_or(BATCH_SIZE);
        let steps_per_epoch = fields.optional_count("steps_per_epoch", 1)?;
        let validation_steps = fields.optional_count("validation_steps", 1)?;
        let validation_split = fields.optional_number("validation_split", Range::BelowOne)?;
        let verbose = fields.optional_count("verbose", 0)?;
        if let Some(level) = verbose.filter(|level| *level > 2) {
            return Err(fields.refuse("verbose", &Value::from(level), "0, 1 or 2").into());
        }
        let callbacks = match fields.value("callbacks") {
            None => Vec::new(),
            Some(Value::Array(entries)) => callbacks(entries)?,
            Some(other) => return Err(fields.refuse("callbacks", other, "a list of callbacks").into()),
        };
        fields.finish()?;
        Ok(FitParams {
            epochs,
            batch_size,
            steps_per_epoch,
            validation_steps,
            validation_split,
            callbacks,
            random_seed: self.random_seed.0,
            verbose,
        })
    }
}

/// The repeat's callbacks, without the choice "None".
fn callbacks(entries: &[Value]) -> Result<Vec<Callback>, ParameterError> {
    let mut callbacks = Vec::new();
    for entry in entries {
        let callback = Callback::from_form(entry.get("callback_selection").unwrap_or(entry))?;
        if callback != Callback::None {
            callbacks.push(callback);
        }
    }
    Ok(callbacks)
}
