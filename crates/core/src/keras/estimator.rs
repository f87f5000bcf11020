//! The estimator archive: what Create deep learning model writes, Deep learning training completes and Model Prediction reads.
//!
//! A zip with `estimator.json` (this module's [`Estimator`]) and, once there are weights, `weights.h5` (see [`super::weights`]), or the
//! same in one HDF5 file (see [`super::h5mlm`]). It holds nothing that could run. The same estimator gives the same bytes: fixed order, fixed time stamps.

use std::io::{Cursor, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::callback::Callback;
use super::classes::Classes;
use super::file_kind::FileKind;
use super::loss::Loss;
use super::metric::Metric;
use super::optimizer::Optimizer;
use super::weights::WeightsError;

/// The version of the format that is written. A reader refuses higher ones.
pub const FORMAT_VERSION: u32 = 1;

pub(super) const JSON_MEMBER: &str = "estimator.json";
const WEIGHTS_MEMBER: &str = "weights.h5";

/// No model of the form (500 layers at most) comes near this size; it keeps a forged archive from filling the memory.
pub(super) const JSON_LIMIT: u64 = 64 << 20;
/// How many times larger than the archive the weights may be. Trained weights hardly shrink, fresh ones (zeros) a thousandfold.
const WEIGHTS_EXPANSION: u64 = 1032;
const WEIGHTS_LIMIT: u64 = 8 << 30;

/// What is wrong with an estimator file.
#[derive(Debug, thiserror::Error)]
pub enum EstimatorError {
    /// A pickle of the Python tools.
    #[error(
        "this is a model pickled by the Python tool{class}, which cannot be read safely; rebuild it from its model configuration \
         with Create deep learning model"
    )]
    Pickle {
        /// The pickled class in parentheses, when it can be told.
        class: String,
    },
    /// An HDF5 file.
    #[error(
        "this is an HDF5 file, either weights or a model of the Python tools (h5mlm), not an estimator; give the one that Create deep \
         learning model or Deep learning training wrote"
    )]
    Hdf5,
    /// An HDF5 file that is damaged or holds what it should not, or that cannot be written.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// Something else that is no zip.
    #[error(
        "this is {0}, not an estimator; give the one that Create deep learning model or Deep learning training wrote"
    )]
    Foreign(&'static str),
    /// A zip that stops in the middle.
    #[error("the estimator's zip archive is damaged or was cut off ({0}); upload or compute it again")]
    Damaged(String),
    /// A zip of something else.
    #[error(
        "this zip archive holds no {JSON_MEMBER}, so it is not an estimator (it holds {0}); give the zip that Create deep learning \
         model or Deep learning training wrote"
    )]
    OtherZip(String),
    /// A member that is larger than any estimator's.
    #[error(
        "the estimator's {member} would be larger than {limit} bytes when unpacked, which no estimator's is; the file is refused"
    )]
    TooLarge {
        /// The archive's member.
        member: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// Written by a version of these tools that is to come.
    #[error(
        "the estimator has format version {found}, and this tool reads up to {FORMAT_VERSION}; use a newer version of the tool"
    )]
    Newer {
        /// The file's version.
        found: u64,
    },
    /// `estimator.json` does not say what it should.
    #[error("the estimator's {JSON_MEMBER} cannot be understood: {0}")]
    Json(#[source] serde_json::Error),
    /// Fitted, but the weights are missing.
    #[error("the estimator says that it is {0}, but the file holds no weights; compute it again")]
    NoWeights(&'static str),
    /// Writing the archive failed, which it cannot in memory.
    #[error("cannot pack the estimator: {0}")]
    Pack(String),
}

/// The kinds of file that an estimator comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// A zip archive: of our own forms, and where the original tools up to 1.0.8 have their pickles.
    #[default]
    Zip,
    /// An HDF5 file that Galaxy calls `h5mlm`, as the original tools from 1.0.10 on write. See [`super::h5mlm`].
    H5mlm,
}

impl Container {
    /// The file in a job's working directory that becomes the estimator's dataset.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Zip => "estimator.zip",
            Self::H5mlm => "estimator.h5mlm",
        }
    }
}

/// What kind of estimator the model becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearningType {
    /// Predicts classes.
    KerasGClassifier,
    /// Predicts numbers.
    KerasGRegressor,
    /// A model that comes with its weights; it predicts raw outputs.
    #[serde(rename = "prefitted")]
    Prefitted,
}

impl LearningType {
    /// The name in the form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KerasGClassifier => "KerasGClassifier",
            Self::KerasGRegressor => "KerasGRegressor",
            Self::Prefitted => "prefitted",
        }
    }
}

/// A model with everything that training and prediction need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimator {
    /// What kind of estimator it is.
    pub learning_type: LearningType,
    /// The Keras model JSON as it was given: `{"class_name": ..., "config": ...}`.
    pub model: Value,
    /// How it is compiled; a prefitted model is not.
    pub compile: Option<CompileParams>,
    /// How it is fitted; a prefitted model is not.
    pub fit: Option<FitParams>,
    /// What training found out; none before.
    pub fitted: Option<Fitted>,
}

/// Loss, optimiser and metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompileParams {
    /// What training makes small.
    pub loss: Loss,
    /// How it does so.
    pub optimizer: Optimizer,
    /// What is reported beside the loss, in this order.
    pub metrics: Vec<Metric>,
}

/// Rows a step where nobody says how many, as in Keras.
pub const BATCH_SIZE: u32 = 32;

/// How the model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitParams {
    /// How many times all rows are seen.
    pub epochs: u32,
    /// Rows a step.
    pub batch_size: u32,
    /// Steps that make an epoch; all rows when none.
    pub steps_per_epoch: Option<u32>,
    /// Steps that make a validation; all rows when none.
    pub validation_steps: Option<u32>,
    /// The share of the training rows that are held out for validation when no validation rows are given (newer form).
    pub validation_split: Option<f64>,
    /// Callbacks in the form's order, without the choice "None".
    pub callbacks: Vec<Callback>,
    /// The seed that was asked for.
    pub random_seed: Option<i64>,
    /// Keras's verbosity: 0 tells nothing of the epochs. The older form does not ask for it, and its tools tell each epoch.
    #[serde(default)]
    pub verbose: Option<u32>,
}

/// What training found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The classes of a classifier that tells one class a row, in the order of the outputs.
    pub classes: Option<Classes>,
    /// The shape of one row's input.
    pub input_shape: Vec<usize>,
    /// The shape of one row's output.
    pub output_shape: Vec<usize>,
    /// What was reported after each epoch.
    pub history: History,
    /// The seed that was used, whether it was asked for or drawn.
    pub seed_used: u64,
}

/// What was reported after each epoch: one column a value, one row an epoch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Column {
    name: String,
    #[serde(with = "any_number")]
    values: Vec<f64>,
}

impl History {
    /// An empty history of these values: `loss`, `acc`, `val_loss`, ...
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let columns = names.into_iter().map(|name| Column {
            name: name.to_owned(),
            values: Vec::new(),
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// Adds an epoch's values by their names. Only the last epoch may lack some of them; values of other names are not kept.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = (&'a str, f64)>) {
        for (name, value) in values {
            if let Some(column) = self.columns.iter_mut().find(|column| column.name == name) {
                column.values.push(value);
            }
        }
    }

    /// The names of the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// One value's course over the epochs.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<&[f64]> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .map(|column| column.values.as_slice())
    }

    /// How many epochs were reported.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }
}

/// Numbers as JSON, where NaN and the infinities, which JSON does not have, are texts.
mod any_number {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| {
            if value.is_finite() {
                serde_json::Value::from(*value)
            } else {
                serde_json::Value::from(value.to_string())
            }
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let numbers = Vec::<Number>::deserialize(deserializer)?;
        numbers
            .into_iter()
            .map(|number| match number {
                Number::Finite(value) => Ok(value),
                Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
            })
            .collect()
    }
}

/// `estimator.json`: the format's version before everything else.
#[derive(Serialize)]
struct Document<'a> {
    format_version: u32,
    #[serde(flatten)]
    estimator: &'a Estimator,
}

impl Estimator {
    /// Packs the estimator into a file of this kind, with its weights (the bytes of an HDF5 file) if there are any.
    ///
    /// # Errors
    /// When the file cannot be built, which no estimator should be able to cause.
    pub fn pack(&self, container: Container, weights: Option<&[u8]>) -> Result<Vec<u8>, EstimatorError> {
        match container {
            Container::Zip => self.to_zip(weights),
            Container::H5mlm => self.to_h5mlm(weights),
        }
    }

    /// Unpacks an estimator of either kind, and its weights (the bytes of an HDF5 file).
    ///
    /// # Errors
    /// Anything but an estimator of this or an earlier format version: see [`EstimatorError`].
    pub fn unpack(bytes: &[u8]) -> Result<(Self, Option<Vec<u8>>, Container), EstimatorError> {
        let container = if FileKind::of(bytes) == FileKind::Hdf5 {
            Container::H5mlm
        } else {
            Container::Zip
        };
        let (estimator, weights) = match container {
            Container::Zip => Self::from_zip(bytes)?,
            Container::H5mlm => Self::from_h5mlm(bytes)?,
        };
        Ok((estimator, weights, container))
    }

    /// `estimator.json` as it lies in the file.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, EstimatorError> {
        let document = Document {
            format_version: FORMAT_VERSION,
            estimator: self,
        };
        serde_json::to_vec_pretty(&document).map_err(|error| EstimatorError::Pack(error.to_string()))
    }

    /// Packs the estimator as a zip archive, with its weights (the bytes of an HDF5 file) if there are any.
    ///
    /// # Errors
    /// When the archive cannot be built, which no estimator should be able to cause.
    pub fn to_zip(&self, weights: Option<&[u8]>) -> Result<Vec<u8>, EstimatorError> {
        let json = self.to_json()?;
        let pack = |error: ZipError| EstimatorError::Pack(error.to_string());
        let write = |error: std::io::Error| EstimatorError::Pack(error.to_string());
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        zip.start_file(JSON_MEMBER, options).map_err(pack)?;
        zip.write_all(&json).map_err(write)?;
        if let Some(weights) = weights {
            let options = options.large_file(u32::try_from(weights.len()).is_err());
            zip.start_file(WEIGHTS_MEMBER, options).map_err(pack)?;
            zip.write_all(weights).map_err(write)?;
        }
        Ok(zip.finish().map_err(pack)?.into_inner())
    }

    /// Unpacks an estimator and its weights (the bytes of an HDF5 file).
    ///
    /// # Errors
    /// Anything but an estimator archive of this or an earlier format version: see [`EstimatorError`].
    pub fn from_zip(bytes: &[u8]) -> Result<(Self, Option<Vec<u8>>), EstimatorError> {
        match FileKind::of(bytes) {
            FileKind::Zip => {}
            FileKind::Pickle => {
                return Err(EstimatorError::Pickle {
                    class: pickled_class(bytes),
                });
            }
            FileKind::Hdf5 => return Err(EstimatorError::Hdf5),
            other => return Err(EstimatorError::Foreign(other.describe())),
        }
        let damaged = |error: ZipError| EstimatorError::Damaged(error.to_string());
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if zip.index_for_name(JSON_MEMBER).is_none() {
            return Err(EstimatorError::OtherZip(contents(&zip)));
        }
        let json = unpack(&mut zip, JSON_MEMBER, JSON_LIMIT)?;
        let estimator = Self::from_json(&json)?;
        let weights = if zip.index_for_name(WEIGHTS_MEMBER).is_some() {
            let limit = WEIGHTS_LIMIT.min((bytes.len() as u64).saturating_mul(WEIGHTS_EXPANSION));
            Some(unpack(&mut zip, WEIGHTS_MEMBER, limit)?)
        } else {
            None
        };
        estimator.check_weights(weights.is_some())?;
        Ok((estimator, weights))
    }

    /// That an estimator that needs weights has them.
    pub(super) fn check_weights(&self, there: bool) -> Result<(), EstimatorError> {
        match self {
            _ if there => Ok(()),
            Self { fitted: Some(_), .. } => Err(EstimatorError::NoWeights("fitted")),
            Self {
                learning_type: LearningType::Prefitted,
                ..
            } => Err(EstimatorError::NoWeights("prefitted")),
            _ => Ok(()),
        }
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, EstimatorError> {
        // The version is looked at first: a newer file may well have fields that this version cannot read.
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let Version { format_version } = serde_json::from_slice(json).map_err(EstimatorError::Json)?;
        if format_version > u64::from(FORMAT_VERSION) {
            return Err(EstimatorError::Newer { found: format_version });
        }
        serde_json::from_slice(json).map_err(EstimatorError::Json)
    }
}

/// Reads one member, never more than `limit` bytes of it, whatever the archive says about its size.
fn unpack(zip: &mut ZipArchive<Cursor<&[u8]>>, member: &'static str, limit: u64) -> Result<Vec<u8>, EstimatorError> {
    let file = zip
        .by_name(member)
        .map_err(|error| EstimatorError::Damaged(error.to_string()))?;
    if file.size() > limit {
        return Err(EstimatorError::TooLarge { member, limit });
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| EstimatorError::Damaged(format!("{member}: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(EstimatorError::TooLarge { member, limit });
    }
    Ok(bytes)
}

/// The first few members of an archive, for an error message.
fn contents(zip: &ZipArchive<Cursor<&[u8]>>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = zip
        .file_names_raw()
        .take(SHOWN)
        .map(|name| {
            String::from_utf8_lossy(name)
                .chars()
                .filter(|c| !c.is_control())
                .take(60)
                .collect()
        })
        .collect();
    match (names.len(), zip.len().saturating_sub(SHOWN)) {
        (0, _) => "nothing".to_owned(),
        (_, 0) => names.join(", "),
        (_, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// The Keras class that a pickle of the Python tools holds, in parentheses, as far as its first bytes tell.
fn pickled_class(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(4096)];
    let known: [&[u8]; 4] = [
        b"KerasGClassifier",
        b"KerasGRegressor",
        b"KerasGBatchClassifier",
        b"Sequential",
    ];
    known
        .into_iter()
        .find(|class| head.windows(class.len()).any(|window| window == *class))
        .map(|class| format!(" ({})", String::from_utf8_lossy(class)))
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "estimator_tests.rs"]
mod tests;
