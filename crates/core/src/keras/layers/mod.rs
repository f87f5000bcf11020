//! Layers: each is declared once, and its typed parameters, its Keras JSON and its form follow from the declaration.
//!
//! To add a layer: declare it with `layer!` in the file of its group, write its [`Rules`], and move its name within `kinds!` below.

mod advanced_activations;
mod arguments;
mod cells;
mod conv_lstm;
mod convolutional;
mod core;
mod cudnn;
mod declare;
mod embedding;
mod error;
mod form;
mod global_pooling;
mod input;
mod locally_connected;
mod margins;
mod masking;
mod merge;
mod name;
mod noise;
mod normalization;
mod pooling;
mod recurrent;
mod separable;
mod spatial_dropout;
mod spec;
mod states;
mod transposed;

use std::sync::LazyLock;

use serde_json::{Map, Value};

pub use self::advanced_activations::{ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU};
pub use self::arguments::{Absent, Arguments};
pub use self::cells::{ConvLSTM2DCell, GRUCell, LSTMCell, SimpleRNNCell};
pub use self::conv_lstm::ConvLSTM2D;
pub use self::convolutional::{Conv1D, Conv2D, Conv3D};
pub use self::core::{
    Activation, ActivityRegularization, Dense, Dropout, Flatten, Masking, Permute, RepeatVector, Reshape,
};
pub use self::cudnn::{CuDNNGRU, CuDNNLSTM};
pub use self::declare::{Declared, Rules};
pub use self::embedding::Embedding;
pub use self::error::LayerError;
pub use self::global_pooling::{
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D,
};
pub use self::input::InputLayer;
pub use self::locally_connected::{LocallyConnected1D, LocallyConnected2D};
pub use self::margins::{
    Cropping1D, Cropping2D, Cropping3D, UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding1D, ZeroPadding2D,
    ZeroPadding3D,
};
pub use self::masking::MaskRule;
pub use self::merge::{Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract, axis_without_batch};
pub use self::name::{AutoNames, snake_case};
pub use self::noise::{AlphaDropout, GaussianDropout, GaussianNoise};
pub use self::normalization::BatchNormalization;
pub use self::pooling::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, MaxPooling1D, MaxPooling2D, MaxPooling3D,
};
pub use self::recurrent::{GRU, LSTM, SimpleRNN};
pub use self::separable::{DepthwiseConv2D, SeparableConv1D, SeparableConv2D};
pub use self::spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use self::spec::{FormField, FormKind, KeywordSpec, LayerSpec};
pub use self::states::States;
pub use self::transposed::{Conv2DTranspose, Conv3DTranspose};
use crate::keras::field::{Dtype, Field};
use crate::keras::initializer::Initializer;
use crate::keras::literal::Literal;
use crate::keras::shape::{self, Applied, Shape, WeightSpec};

/// The layers, in the order of the form.
macro_rules! kinds {
    ($($Name:ident),+ $(,)?) => {
        /// What a layer is, with its parameters.
        #[derive(Debug, Clone, PartialEq)]
        pub enum LayerKind {
            $(
                #[doc = concat!("See [`", stringify!($Name), "`].")]
                $Name($Name),
            )+
        }

        impl LayerKind {
            /// Keras's class names, in the order of the form.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($Name)),+];

            /// Keras's class name.
            #[must_use]
            pub fn class_name(&self) -> &'static str {
                match self { $(Self::$Name(_) => $Name::CLASS),+ }
            }

            fn read(class_name: &str, arguments: &Arguments, general: &[&str]) -> Result<Self, LayerError> {
                match class_name {
                    $(stringify!($Name) => {
                        arguments.check_names(&[$Name::FIELDS, $Name::LOST].concat(), general)?;
                        let layer = $Name::read(arguments)?;
                        layer.check().map_err(LayerError::Conflict)?;
                        Ok(Self::$Name(layer))
                    })+
                    name => Err(LayerError::Unknown { name: name.to_owned() }),
                }
            }

            fn lost(class_name: &str, arguments: &Arguments) -> Result<Vec<&'static str>, LayerError> {
                match class_name {
                    $(stringify!($Name) => $Name::lost(arguments),)+
                    _ => Ok(Vec::new()),
                }
            }

            fn aliases(class_name: &str) -> &'static [(&'static str, &'static str)] {
                match class_name {
                    $(stringify!($Name) => $Name::ALIASES,)+
                    _ => &[],
                }
            }

            fn fields(class_name: &str) -> &'static [&'static str] {
                match class_name {
                    $(stringify!($Name) => $Name::FIELDS,)+
                    _ => &[],
                }
            }

            fn write(&self, config: &mut Map<String, Value>) {
                match self { $(Self::$Name(layer) => layer.write(config)),+ }
            }

            fn initializer_mut(&mut self, name: &str) -> Option<&mut Initializer> {
                match self { $(Self::$Name(layer) => layer.initializer_mut(name)),+ }
            }

            fn apply(&self, inputs: &[Shape]) -> Result<Applied, String> {
                match self { $(Self::$Name(layer) => layer.apply_all(inputs)),+ }
            }
        }

        static CATALOGUE: LazyLock<Vec<LayerSpec>> = LazyLock::new(|| vec![$($Name::spec()),+]);
    };
}

kinds! {
    InputLayer, Dense, Activation, Dropout, Flatten, Reshape, Permute, RepeatVector, ActivityRegularization, Masking,
    SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, Conv1D, Conv2D, SeparableConv1D, SeparableConv2D, DepthwiseConv2D,
    Conv2DTranspose, Conv3D, Conv3DTranspose, Cropping1D, Cropping2D, Cropping3D, UpSampling1D, UpSampling2D, UpSampling3D,
    ZeroPadding1D, ZeroPadding2D, ZeroPadding3D, MaxPooling1D, MaxPooling2D, MaxPooling3D, AveragePooling1D, AveragePooling2D,
    AveragePooling3D, GlobalMaxPooling1D, GlobalAveragePooling1D, GlobalMaxPooling2D, GlobalAveragePooling2D, GlobalMaxPooling3D,
    GlobalAveragePooling3D, LocallyConnected1D, LocallyConnected2D, SimpleRNN, GRU, LSTM, ConvLSTM2D, ConvLSTM2DCell,
    SimpleRNNCell, GRUCell, LSTMCell, CuDNNGRU, CuDNNLSTM, Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot,
    Embedding, LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax, ReLU, BatchNormalization, GaussianNoise, GaussianDropout,
    AlphaDropout,
}

/// The layers of the form, in its order.
#[must_use]
pub fn catalogue() -> &'static [LayerSpec] {
    &CATALOGUE
}

/// One layer of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name, unique in the model.
    pub name: String,
    /// Whether training changes its weights.
    pub trainable: bool,
    /// The input shape with the batch axis, where the layer declares one.
    pub batch_input_shape: Option<Vec<Option<usize>>>,
    /// The type of its numbers.
    pub dtype: Dtype,
    /// What it is, with its parameters.
    pub kind: LayerKind,
    /// Parameters that were given, but that Keras does not write into a configuration: they have no effect.
    pub lost: Vec<&'static str>,
}

/// What Keras takes for any layer.
const GENERAL: &[&str] = &[
    "name",
    "trainable",
    "dtype",
    "input_shape",
    "batch_input_shape",
    "batch_size",
    "weights",
];

impl Layer {
    /// Makes a layer from the fields of its form and the text of its `kwargs`; `names` numbers layers without a name.
    ///
    /// `input_shape`, without the batch axis, is what the form says of the model's input; only the first layer has one.
    ///
    /// # Errors
    ///
    /// The layer is unknown or not supported, a parameter is missing, unknown or wrong, or parameters do not go together.
    pub fn from_form(
        class_name: &str,
        fields: &Map<String, Value>,
        kwargs: &str,
        input_shape: Option<&Shape>,
        names: &mut AutoNames,
    ) -> Result<Self, LayerError> {
        // What the form calls an input is a layer of Keras's.
        let class_name = if class_name == "Input" {
            InputLayer::CLASS
        } else {
            class_name
        };
        let fields = form::translated(class_name, fields, LayerKind::aliases(class_name))?;
        let mut arguments = Arguments::from_form(&fields, kwargs)?;
        if let Some(input_shape) = input_shape
            && !arguments.has("batch_input_shape")
        {
            arguments.set_default("input_shape", Literal::from_json(&input_shape.to_json()));
        }
        Self::from_arguments(class_name, &arguments, names)
    }

    /// Makes a layer from its `config` in a model configuration.
    ///
    /// # Errors
    ///
    /// As [`Layer::from_form`].
    pub fn from_config(
        class_name: &str,
        config: &Map<String, Value>,
        names: &mut AutoNames,
    ) -> Result<Self, LayerError> {
        Self::from_arguments(class_name, &Arguments::from_config(config), names)
    }

    fn from_arguments(class_name: &str, arguments: &Arguments, names: &mut AutoNames) -> Result<Self, LayerError> {
        // Keras's older way to say `input_shape`, where it still takes it.
        let recurrent = matches!(class_name, "SimpleRNN" | "GRU" | "LSTM" | "CuDNNGRU" | "CuDNNLSTM");
        let mut general = GENERAL.to_vec();
        if recurrent || class_name == "Dense" {
            general.push("input_dim");
        }
        if recurrent {
            general.push("input_length");
        }
        let kind = LayerKind::read(class_name, arguments, &general)?;
        if arguments.has("weights") {
            return Err(LayerError::Argument {
                name: "weights".into(),
                value: "...".into(),
                problem: "weights cannot be given in the form; load them from a weights file".into(),
            });
        }
        let dtype = arguments.get("dtype", Absent::Value(Dtype::Float32))?;
        if dtype != Dtype::Float32 && !matches!(kind, LayerKind::InputLayer(_)) {
            return Err(LayerError::Argument {
                name: "dtype".into(),
                value: format!("'{}'", dtype.name()),
                problem: "only 'float32' is supported".into(),
            });
        }
        let name = match arguments.get::<Option<String>>("name", Absent::Value(None))? {
            Some(name) if name.is_empty() || name.contains(['/', '\0']) || name.chars().any(char::is_control) => {
                return Err(LayerError::Argument {
                    name: "name".into(),
                    value: Literal::Str(name).to_string(),
                    problem: "a layer's name must be a text without '/'".into(),
                });
            }
            Some(name) => name,
            // Keras names an input after the function that makes it.
            None if class_name == InputLayer::CLASS => names.next("Input"),
            None => names.next(class_name),
        };
        let lost = LayerKind::lost(class_name, arguments)?;
        if arguments.is_from_config()
            && let Some(name) = lost.first()
        {
            return Err(LayerError::Argument {
                name: (*name).to_owned(),
                value: "...".into(),
                problem: "only its default is supported".into(),
            });
        }
        Ok(Self {
            name,
            trainable: arguments.get("trainable", Absent::Value(true))?,
            batch_input_shape: batch_input_shape(arguments, &kind, recurrent)?,
            dtype,
            kind,
            lost,
        })
    }

    /// The `config` object as Keras 2.3.1 writes it.
    #[must_use]
    pub fn to_config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        if let LayerKind::InputLayer(_) = &self.kind {
            config.insert("batch_input_shape".into(), self.batch_input_shape.to_json());
            config.insert("dtype".into(), self.dtype.to_json());
            self.kind.write(&mut config);
            config.insert("name".into(), self.name.to_json());
            return config;
        }
        config.insert("name".into(), self.name.to_json());
        config.insert("trainable".into(), self.trainable.to_json());
        if let Some(shape) = &self.batch_input_shape {
            config.insert("batch_input_shape".into(), shape.to_json());
        }
        config.insert("dtype".into(), self.dtype.to_json());
        self.kind.write(&mut config);
        config
    }

    /// Output shape and weights for these inputs, shapes without the batch axis.
    ///
    /// # Errors
    ///
    /// The layer does not fit its inputs; the error says what would.
    pub fn apply(&self, inputs: &[Shape]) -> Result<Applied, LayerError> {
        let problem = |problem| LayerError::Input {
            input: inputs
                .iter()
                .map(|input| shape::display(input))
                .collect::<Vec<_>>()
                .join(" and "),
            problem,
        };
        let mut applied = match (self.kind.states(), inputs.split_first()) {
            // Behind the sequence, the states that the layer begins from.
            (Some(states), Some((sequence, given))) if !given.is_empty() => {
                let applied = self.kind.apply(std::slice::from_ref(sequence)).map_err(problem)?;
                states.check(given, &applied.output).map_err(problem)?;
                applied
            }
            _ => self.kind.apply(inputs).map_err(problem)?,
        };
        for weight in &mut applied.weights {
            initializer_fits(weight)?;
            weight.trainable &= self.trainable;
        }
        Ok(applied)
    }

    /// Counts up the seeds of the initializers that these weights started with, as Keras 2.3.1 does each time that it uses one.
    pub(in crate::keras) fn advance_seeds(&mut self, weights: &[WeightSpec]) {
        for weight in weights {
            if let Some(initializer) = self.kind.initializer_mut(&initializer_of(weight.name)) {
                // The bias on either side of a forget gate that starts open is drawn for itself.
                initializer.advance_seed(if weight.ones.is_some() { 2 } else { 1 });
            }
        }
    }

    /// The output's shape without the batch axis.
    ///
    /// # Errors
    ///
    /// As [`Layer::apply`].
    pub fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, LayerError> {
        self.apply(inputs).map(|applied| applied.output)
    }

    /// The weights in Keras's order.
    ///
    /// # Errors
    ///
    /// As [`Layer::apply`].
    pub fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, LayerError> {
        self.apply(inputs).map(|applied| applied.weights)
    }
}

/// The parameter that says how the weight of this name starts.
fn initializer_of(weight: &str) -> String {
    format!("{}_initializer", weight.strip_suffix("_kernel").unwrap_or(weight))
}

/// Refuses what Keras refuses when it makes a weight: a matrix for what is none.
fn initializer_fits(weight: &WeightSpec) -> Result<(), LayerError> {
    let axes = weight.shape.len();
    let wanted = match weight.initializer {
        Initializer::Orthogonal { .. } if axes < 2 => "at least two axes",
        Initializer::Identity { .. } if axes != 2 => "two axes",
        _ => return Ok(()),
    };
    let shape: Shape = weight.shape.iter().copied().map(Some).collect();
    Err(LayerError::Argument {
        name: initializer_of(weight.name),
        value: weight.initializer.to_python(),
        problem: format!(
            "it is for weights of {wanted}, and this one has the shape {}; choose another, e.g. 'zeros' or 'random_normal'",
            shape::display(&shape)
        ),
    })
}

fn no_batch_axis(name: &str) -> LayerError {
    LayerError::Argument {
        name: name.into(),
        value: "()".into(),
        problem: "the first axis is the batch: write (None, ...)".into(),
    }
}

/// The input shape with batch axis that the arguments declare in one of Keras's many ways.
fn batch_input_shape(
    arguments: &Arguments,
    kind: &LayerKind,
    recurrent: bool,
) -> Result<Option<Vec<Option<usize>>>, LayerError> {
    type Sizes = Option<Vec<Option<usize>>>;
    if let Some(shape) = arguments.get::<Sizes>("batch_input_shape", Absent::Value(None))? {
        if shape.is_empty() {
            return Err(no_batch_axis("batch_input_shape"));
        }
        return Ok(Some(shape));
    }
    if let LayerKind::InputLayer(_) = kind {
        // Keras 3 calls it `batch_shape`.
        if let Some(shape) = arguments.get::<Sizes>("batch_shape", Absent::Value(None))? {
            if shape.is_empty() {
                return Err(no_batch_axis("batch_shape"));
            }
            return Ok(Some(shape));
        }
        let shape: Vec<Option<usize>> = arguments.get("shape", Absent::Required)?;
        return Ok(Some([vec![None], shape].concat()));
    }
    let batch_size = arguments.get::<Option<usize>>("batch_size", Absent::Value(None))?;
    let mut shape = arguments.get::<Sizes>("input_shape", Absent::Value(None))?;
    if shape.is_none() && !LayerKind::fields(kind.class_name()).contains(&"input_dim") {
        let features = arguments.get::<Option<usize>>("input_dim", Absent::Value(None))?;
        let steps = arguments.get::<Option<usize>>("input_length", Absent::Value(None))?;
        shape = match features {
            Some(_) if recurrent => Some(vec![steps, features]),
            Some(_) => Some(vec![features]),
            None => None,
        };
    }
    if let (None, LayerKind::Embedding(embedding)) = (&shape, kind) {
        // Keras gives every embedding an input shape, wherever it stands.
        shape = Some(vec![embedding.input_length]);
    }
    Ok(shape.map(|shape| [vec![batch_size], shape].concat()))
}
