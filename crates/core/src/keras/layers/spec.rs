//! The catalogue: what the Galaxy form shows of each layer.

/// One layer of the form.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// The value of `layer_type`: Keras's class name, but for `Input`.
    pub layer_type: &'static str,
    /// The group that the option's label starts with: "Core".
    pub group: &'static str,
    /// What the layer does, in plain words.
    pub help: &'static str,
    /// The fields in the order of the form, without `kwargs`.
    pub form: Vec<FormField>,
    /// Whether the form has a `kwargs` text after the fields.
    pub has_kwargs: bool,
    /// The keyword arguments that have no field of their own, in Keras's order.
    pub kwargs: Vec<KeywordSpec>,
}

/// One field of a layer's form.
#[derive(Debug, Clone, PartialEq)]
pub struct FormField {
    /// Parameter name, Keras's and the form's.
    pub name: &'static str,
    /// The control.
    pub kind: FormKind,
    /// What stands in the field; `None`: empty.
    pub default: Option<String>,
    /// Whether the field may be left empty.
    pub optional: bool,
    /// The label above the field.
    pub label: &'static str,
    /// The help below the field.
    pub help: &'static str,
}

impl FormField {
    /// The same under another name, where the form has one of its own.
    #[must_use]
    pub fn called(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same with another text in the empty form.
    #[must_use]
    pub fn with_default(self, default: &str) -> Self {
        Self {
            default: Some(default.to_owned()),
            ..self
        }
    }
}

impl LayerSpec {
    /// Whether the form of a sequential model offers the layer: neither inputs nor merges.
    #[must_use]
    pub fn in_sequential(&self) -> bool {
        !matches!(self.group, "Input" | "Merge")
    }
}

/// The control of a form field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FormKind {
    /// A whole number.
    Integer {
        /// The smallest that is allowed.
        min: Option<i64>,
    },
    /// A number.
    Float {
        /// The smallest that is allowed.
        min: Option<f64>,
        /// The largest that is allowed.
        max: Option<f64>,
    },
    /// A text, mostly a Python literal.
    Text,
    /// A text with a shape: a tuple of sizes, some perhaps `None` or -1.
    Shape,
    /// A text with this many positive sizes, or one that stands for all of them.
    Sizes(usize),
    /// A text with margins of this many axes.
    Margins(usize),
    /// A constraint on a weight: its kind and its parameters.
    Constraint,
    /// One of these names.
    Select(&'static [&'static str]),
    /// Yes or no.
    Boolean,
}

/// A positive integer.
pub const COUNT: FormKind = FormKind::Integer { min: Some(1) };
/// A fraction.
pub const FRACTION: FormKind = FormKind::Float {
    min: Some(0.0),
    max: Some(1.0),
};

/// One keyword argument that can be given through `kwargs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordSpec {
    /// Keras's name.
    pub name: &'static str,
    /// The default as one would write it in Python, or the name of the parameter whose value it takes.
    pub default: String,
    /// What can be written: "True or False".
    pub expected: String,
}

#[cfg(test)]
mod tests {
    use super::super::{LayerKind, catalogue};
    use super::*;

    fn spec(class_name: &str) -> &'static LayerSpec {
        catalogue().iter().find(|spec| spec.layer_type == class_name).unwrap()
    }

    fn fields(class_name: &str) -> Vec<(&'static str, FormKind, Option<&'static str>, bool)> {
        let fields = spec(class_name).form.iter();
        fields
            .map(|field| (field.name, field.kind, field.default.as_deref(), field.optional))
            .collect()
    }

    #[test]
    fn the_catalogue_has_every_layer_in_the_forms_order() {
        let names: Vec<&str> = catalogue().iter().map(|spec| spec.layer_type).collect();
        assert_eq!(names.len(), 73);
        assert_eq!((names[0], LayerKind::NAMES[0]), ("Input", "InputLayer"));
        assert_eq!(names[1..], LayerKind::NAMES[1..]);
        let mut groups: Vec<&str> = catalogue().iter().map(|spec| spec.group).collect();
        groups.dedup();
        assert_eq!(
            groups,
            [
                "Input",
                "Core",
                "Convolutional",
                "Pooling",
                "Locally_connected",
                "Recurrent",
                "Merge",
                "Embedding",
                "Advanced activations",
                "Normalization",
                "Noise"
            ]
        );
        let sequential = catalogue().iter().filter(|spec| spec.in_sequential());
        assert_eq!(sequential.count(), 64);
    }

    #[test]
    fn fields_are_those_of_the_original_form() {
        // Names, order and defaults of keras_model_config 0.5.0.
        use crate::keras::activation::Activation;
        let activation = ("activation", FormKind::Select(Activation::NAMES), Some("linear"), false);
        assert_eq!(fields("Dense"), [("units", COUNT, None, false), activation]);
        assert_eq!(
            fields("Conv1D"),
            [
                ("filters", COUNT, None, false),
                ("kernel_size", FormKind::Sizes(1), None, false),
                activation
            ]
        );
        assert_eq!(
            fields("MaxPooling1D"),
            [("pool_size", COUNT, Some("2"), false), ("strides", COUNT, None, true)]
        );
        assert_eq!(
            fields("AveragePooling2D"),
            [
                ("pool_size", FormKind::Sizes(2), Some("(2, 2)"), false),
                ("strides", FormKind::Sizes(2), None, true)
            ]
        );
        let formats = FormKind::Select(&["channels_last", "channels_first"]);
        assert_eq!(
            fields("Flatten"),
            [("data_format", formats, Some("channels_last"), false)]
        );
        assert_eq!(fields("Dropout"), [("rate", FRACTION, None, false)]);
        assert_eq!(fields("BatchNormalization"), []);
        let shown: Vec<&str> = fields("ReLU").iter().map(|field| field.0).collect();
        assert_eq!(shown, ["max_value", "negative_slope", "threshold"]);
        assert_eq!(
            fields("Dot")[0],
            ("axis", FormKind::Text, None, false),
            "the form's name of axes"
        );
        assert_eq!(fields("PReLU")[1].2, Some("(0. , 0.)"));
        assert_eq!(fields("Cropping2D")[0].2, Some("((0, 0), (0, 0))"));
        assert_eq!(fields("ZeroPadding3D")[0].2, Some("(1, 1, 1)"));
        assert_eq!(fields("LeakyReLU")[0].2, Some("0.3"));
    }

    #[test]
    fn keywords_have_kerass_names_and_defaults() {
        let keywords: Vec<(&str, &str)> = spec("Embedding")
            .kwargs
            .iter()
            .map(|keyword| (keyword.name, keyword.default.as_str()))
            .collect();
        assert_eq!(
            keywords,
            [
                ("embeddings_initializer", "'random_uniform'"),
                ("embeddings_regularizer", "None"),
                ("activity_regularizer", "None"),
                ("embeddings_constraint", "None"),
                ("mask_zero", "False"),
                ("input_length", "None"),
            ]
        );
        let conv = &spec("Conv2D").kwargs;
        assert_eq!((conv[0].name, conv[0].default.as_str()), ("strides", "(1, 1)"));
        assert_eq!((conv[1].name, conv[1].default.as_str()), ("padding", "'valid'"));
        assert_eq!(conv[1].expected, "one of 'valid', 'same', 'causal'");
        assert_eq!(spec("LSTM").kwargs.len(), 22);
    }
}
