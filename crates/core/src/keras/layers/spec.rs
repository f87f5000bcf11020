//! The catalogue: what the Galaxy form shows of each layer.

/// One layer of the form.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// Keras's class name, also the value of `layer_type`.
    pub class_name: &'static str,
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
