//! The `layer!` macro: a layer is declared once, and everything that follows from its parameters is generated.

use serde_json::{Map, Value};

use super::arguments::{Absent, Arguments};
use super::spec::{FormField, FormKind, KeywordSpec, LayerSpec};
use super::{Applied, LayerError, Shape};
use crate::keras::field::Field;
use crate::keras::initializer::Initializer;

/// What the declaration of a layer gives, the same for every layer.
pub trait Declared: Sized {
    /// Keras's class name.
    const CLASS: &'static str;
    /// The parameters in the order in which Keras 2.3.1 writes them.
    const FIELDS: &'static [&'static str];

    /// Reads the parameters, each checked by itself.
    ///
    /// # Errors
    ///
    /// A parameter is missing or not what it should be.
    fn read(arguments: &Arguments) -> Result<Self, LayerError>;

    /// The parameters as Keras 2.3.1 writes them into a configuration.
    fn write(&self, config: &mut Map<String, Value>);

    /// The initializer with this name: `kernel_initializer`.
    fn initializer_mut(&mut self, name: &str) -> Option<&mut Initializer>;

    /// How the Galaxy form shows the layer.
    fn spec() -> LayerSpec;
}

/// What is particular to a layer: which parameters go together, and what it makes of its input's shape.
pub trait Rules {
    /// Refuses combinations of parameters that cannot work, whatever the input.
    ///
    /// # Errors
    ///
    /// What does not go together.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Output shape and weights for one input, shapes without the batch axis.
    ///
    /// # Errors
    ///
    /// The input does not fit; the error says what would.
    fn apply(&self, input: &[Option<usize>]) -> Result<Applied, String>;

    /// Output shape and weights for the layer's inputs; most layers have exactly one.
    ///
    /// # Errors
    ///
    /// The inputs do not fit.
    fn apply_all(&self, inputs: &[Shape]) -> Result<Applied, String> {
        match inputs {
            [input] => self.apply(input),
            _ => Err(format!("takes one input, not {}", inputs.len())),
        }
    }
}

/// A form field as declared, with its default taken from the parameter's.
pub fn form_field<T: Field>(
    name: &'static str,
    kind: FormKind,
    label: &'static str,
    help: &'static str,
    absent: &Absent<T>,
) -> FormField {
    let default = match absent {
        Absent::Value(value) => Some(value.to_python().trim_matches('\'').to_owned()),
        Absent::Required | Absent::SameAs(..) => None,
    };
    FormField {
        name,
        kind,
        default,
        optional: matches!(absent, Absent::SameAs(..)),
        label,
        help,
    }
}

/// A keyword argument as declared.
pub fn keyword<T: Field>(name: &'static str, absent: &Absent<T>) -> KeywordSpec {
    KeywordSpec {
        name,
        default: match absent {
            Absent::Value(value) => value.to_python(),
            Absent::Required => "required".into(),
            Absent::SameAs(other, _) => (*other).to_owned(),
        },
        expected: T::expected(),
    }
}

/// Declares a layer.
///
/// ```text
/// layer! {
///     /// Doc of the generated struct.
///     Dense, "Core", "help in plain words";
///     form { units: INTEGER, "Units", "Number of outputs."; }     // fields of the form, in its order
///     kwargs: true;                                               // whether the form has a field for the rest
///     config {                                                    // all parameters, in Keras's JSON order
///         /// Doc.
///         units: usize = required(),
///         activation: Activation = or(Activation::Linear),
///     }
/// }
/// ```
macro_rules! layer {
    (
        $(#[$doc:meta])*
        $Name:ident, $group:literal, $help:literal;
        form { $($form:ident: $kind:expr, $label:literal, $form_help:literal;)* }
        kwargs: $kwargs:literal;
        config { $($(#[$field_doc:meta])* $field:ident: $Type:ty = $absent:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Name { $($(#[$field_doc])* pub $field: $Type,)* }

        impl $crate::keras::layers::declare::Declared for $Name {
            const CLASS: &'static str = stringify!($Name);
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(
                arguments: &$crate::keras::layers::arguments::Arguments,
            ) -> Result<Self, $crate::keras::layers::LayerError> {
                Ok(Self { $($field: arguments.get(stringify!($field), $absent)?,)* })
            }

            fn write(&self, config: &mut serde_json::Map<String, serde_json::Value>) {
                $(config.insert(
                    stringify!($field).to_owned(),
                    $crate::keras::field::Field::to_json(&self.$field),
                );)*
            }

            fn initializer_mut(&mut self, name: &str) -> Option<&mut $crate::keras::initializer::Initializer> {
                match name {
                    $(stringify!($field) => $crate::keras::field::Field::as_initializer(&mut self.$field),)*
                    _ => None,
                }
            }

            fn spec() -> $crate::keras::layers::spec::LayerSpec {
                use $crate::keras::layers::arguments::Absent;
                $(fn $field() -> Absent<$Type> { $absent })*
                let form: Vec<$crate::keras::layers::spec::FormField> = vec![$($crate::keras::layers::declare::form_field(
                    stringify!($form), $kind, $label, $form_help, &$form(),
                )),*];
                let mut kwargs = vec![$($crate::keras::layers::declare::keyword(stringify!($field), &$field())),*];
                kwargs.retain(|keyword| form.iter().all(|field| field.name != keyword.name));
                $crate::keras::layers::spec::LayerSpec {
                    class_name: Self::CLASS, group: $group, help: $help, form, has_kwargs: $kwargs, kwargs,
                }
            }
        }
    };
}
pub(crate) use layer;
