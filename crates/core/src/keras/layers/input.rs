//! The inputs of a functional model.

use serde_json::{Map, Value};

use super::arguments::{Arguments, or};
use super::declare::{Declared, Rules};
use super::spec::{FormField, FormKind, LayerSpec};
use super::{Applied, LayerError};
use crate::keras::field::{Dtype, Field};
use crate::keras::initializer::Initializer;

/// An input of a functional model: its shape is the layer's `batch_input_shape`.
#[derive(Debug, Clone, PartialEq)]
pub struct InputLayer {
    /// Whether the data come as a sparse matrix; the results are the same.
    pub sparse: bool,
}

impl Declared for InputLayer {
    const CLASS: &'static str = "InputLayer";
    const FIELDS: &'static [&'static str] = &["sparse", "shape", "batch_shape"];
    const LOST: &'static [&'static str] = &[];
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    fn lost(_: &Arguments) -> Result<Vec<&'static str>, LayerError> {
        Ok(Vec::new())
    }

    fn read(arguments: &Arguments) -> Result<Self, LayerError> {
        let sparse: Option<bool> = arguments.get("sparse", or(None))?;
        Ok(Self {
            sparse: sparse.unwrap_or(false),
        })
    }

    fn write(&self, config: &mut Map<String, Value>) {
        config.insert("sparse".into(), self.sparse.to_json());
    }

    fn initializer_mut(&mut self, _: &str) -> Option<&mut Initializer> {
        None
    }

    fn spec() -> LayerSpec {
        let text = |name, label, help| FormField {
            name,
            kind: FormKind::Text,
            default: None,
            optional: true,
            label,
            help,
        };
        LayerSpec {
            layer_type: "Input",
            group: "Input",
            help: "An input of the model: every functional model begins with at least one",
            form: vec![
                FormField {
                    kind: FormKind::Shape,
                    optional: false,
                    ..text(
                        "shape",
                        "Shape",
                        "Shape of one sample as a tuple, without the number of samples, e.g. (784, ) for 784 columns; None for a \
                         size that only the data tell",
                    )
                },
                text(
                    "name",
                    "Name",
                    "Name of the input, in the model file; empty: input_1, input_2, ...",
                ),
                FormField {
                    kind: FormKind::Select(Dtype::NAMES),
                    default: Some(Dtype::Float32.name().into()),
                    optional: false,
                    ..text("dtype", "Data type", "Type of the numbers; int32 for words as numbers")
                },
                FormField {
                    kind: FormKind::Boolean,
                    default: Some("False".into()),
                    ..text("sparse", "Sparse", "Whether the data are a sparse matrix")
                },
            ],
            has_kwargs: false,
            kwargs: Vec::new(),
        }
    }
}

impl Rules for InputLayer {
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String> {
        Ok(Applied::output(input))
    }
}
