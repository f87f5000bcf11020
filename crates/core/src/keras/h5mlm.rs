//! The estimator as one HDF5 file, which Galaxy calls `h5mlm`: the tools from 1.0.10 on pass models on in this datatype.
//!
//! ```text
//! /                     -repr-, -http_repr-: what Galaxy shows of the model; -URL-: how Galaxy knows the datatype
//! /estimator.json       the estimator, byte for byte as in the zip archive
//! /-model_config-       the Keras model JSON, which Galaxy shows
//! /-model_hyperparameters-    a list for Galaxy's metadata, empty
//! /model_weights        once there are weights: as in a whole model that Keras saved, so that Keras's `load_weights` takes the file
//! ```
//!
//! Galaxy reads the attributes while it collects a job's outputs, and without them the job fails without a word. Of a file that is
//! read, only `estimator.json` and the weights are looked at. A model of the original tools has no `estimator.json`: what it has
//! instead is a pickle in disguise, and is refused. The same estimator gives the same bytes.

use std::fmt::Write as _;

use super::estimator::{Estimator, EstimatorError, JSON_LIMIT, JSON_MEMBER};
use super::model::Model;
use super::summary::summary;
use super::weights::{self, ModelFile, WeightsError};

/// An HDF5 attribute cannot be larger than 64 KiB with all that belongs to it.
const SHOWN_BYTES: usize = 48 << 10;

impl Estimator {
    /// Packs the estimator as an HDF5 file, with its weights (the bytes of an HDF5 file) if there are any.
    ///
    /// # Errors
    /// When the file cannot be built, or `weights` are none.
    pub fn to_h5mlm(&self, weights: Option<&[u8]>) -> Result<Vec<u8>, EstimatorError> {
        let layers = weights.map(|bytes| weights::read(bytes.to_vec())).transpose()?;
        let json = self.to_json()?;
        let shown = self.shown();
        Ok(weights::write_model(
            &ModelFile {
                document: (JSON_MEMBER, &json),
                texts: &[
                    ("-model_config-", &self.model.to_string()),
                    ("-model_hyperparameters-", "[]"),
                ],
                attributes: &[
                    // The mark that Galaxy's datatype is recognised by when a file is uploaded.
                    ("-URL-", "https://github.com/goeckslab/Galaxy-ML"),
                    ("-repr-", &shown),
                    ("-http_repr-", &format!("<pre>{}</pre>", escaped(&shown))),
                ],
            },
            layers.as_deref(),
        )?)
    }

    /// Unpacks an estimator from an HDF5 file, and the bytes to read its weights from.
    ///
    /// # Errors
    /// Anything but an estimator of this or an earlier format version: see [`EstimatorError`].
    pub fn from_h5mlm(bytes: &[u8]) -> Result<(Self, Option<Vec<u8>>), EstimatorError> {
        let (json, has_weights) = match weights::read_model(bytes.to_vec(), JSON_MEMBER, JSON_LIMIT) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(EstimatorError::Hdf5),
            Err(WeightsError::Damaged(what)) => return Err(EstimatorError::Damaged(what)),
            Err(error) => return Err(error.into()),
        };
        let estimator = Self::from_json(&json)?;
        estimator.check_weights(has_weights)?;
        Ok((estimator, has_weights.then(|| bytes.to_vec())))
    }

    /// The estimator in a few lines for people.
    fn shown(&self) -> String {
        let state = if self.fitted.is_some() { "fitted" } else { "not fitted" };
        let mut text = format!("{}, {state}\n", self.learning_type.name());
        if let Some(compile) = &self.compile {
            // Writing to a text does not fail.
            let _ = writeln!(
                text,
                "loss {}, optimizer {}",
                compile.loss.name(),
                compile.optimizer.name()
            );
        }
        if let Some(fit) = &self.fit {
            let _ = writeln!(text, "{} epochs, batches of {}", fit.epochs, fit.batch_size);
        }
        if let Ok(table) = Model::from_value(&self.model).and_then(|model| summary(&model)) {
            text += &table;
        }
        // Escaping makes the text longer; an attribute has room for four times as little.
        let mut end = text.len().min(SHOWN_BYTES / 6);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

/// The text in HTML.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keras::estimator::{Container, LearningType};
    use crate::keras::weights::{LayerWeights, Weight};

    fn prefitted() -> Estimator {
        Estimator {
            learning_type: LearningType::Prefitted,
            model: json!({"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [
                {"class_name": "Dense", "config": {"name": "<b>dense", "batch_input_shape": [null, 2], "units": 1}}
            ]}}),
            compile: None,
            fit: None,
            fitted: None,
        }
    }

    fn weights() -> Vec<LayerWeights> {
        let weight = |name: &str, shape: &[usize], values: &[f32]| Weight {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        vec![LayerWeights {
            layer: "dense_1".into(),
            weights: vec![
                weight("dense_1/kernel:0", &[2, 1], &[0.5, -1.5]),
                weight("dense_1/bias:0", &[1], &[2.0]),
            ],
        }]
    }

    fn packed() -> Vec<u8> {
        prefitted()
            .to_h5mlm(Some(&weights::write(&weights()).unwrap()))
            .unwrap()
    }

    #[test]
    fn estimator_and_weights_survive_the_file() {
        let (estimator, found, container) = Estimator::unpack(&packed()).unwrap();
        assert_eq!((estimator, container), (prefitted(), Container::H5mlm));
        assert_eq!(weights::read(found.unwrap()).unwrap(), weights());
    }

    #[test]
    fn a_model_that_was_never_fitted_has_no_weights() {
        let mut estimator = prefitted();
        estimator.learning_type = LearningType::KerasGRegressor;
        let file = estimator.pack(Container::H5mlm, None).unwrap();
        assert_eq!(Estimator::unpack(&file).unwrap(), (estimator, None, Container::H5mlm));
    }

    #[test]
    fn the_same_estimator_gives_the_same_file() {
        assert_eq!(packed(), packed());
    }

    #[test]
    fn weights_files_and_models_of_the_python_tools_are_refused() {
        let file = weights::write(&weights()).unwrap();
        let message = Estimator::unpack(&file).unwrap_err().to_string();
        assert!(
            message.starts_with("this is an HDF5 file, either weights or a model of the Python tools"),
            "{message}"
        );
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused_wherever_the_cut_is() {
        let file = packed();
        for end in (9..file.len()).step_by(97) {
            assert!(Estimator::unpack(&file[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_estimator_that_should_have_weights_and_has_none_is_refused() {
        let file = prefitted().to_h5mlm(None).unwrap();
        assert_eq!(
            Estimator::unpack(&file).unwrap_err().to_string(),
            "the estimator says that it is prefitted, but the file holds no weights; compute it again"
        );
    }

    #[test]
    fn names_of_layers_are_text_and_never_markup() {
        assert_eq!(escaped("<b>a & 'b'</b>"), "&lt;b&gt;a &amp; &#39;b&#39;&lt;/b&gt;");
        let file = packed();
        let shown = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(shown("<pre>prefitted, not fitted\n"), "the HTML is in the file");
        assert!(shown("&lt;b&gt;dense (Dense)"), "the layer's name is escaped");
    }
}
