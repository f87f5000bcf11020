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

    /// Parameters that Keras takes, but loses: it does not write them into a configuration, so they have no effect on what is trained.
    const LOST: &'static [&'static str];
    /// The form's names of parameters that it calls differently, and Keras's.
    const ALIASES: &'static [(&'static str, &'static str)];

    /// The lost parameters that are given another value than their default.
    ///
    /// # Errors
    ///
    /// One is not what it should be.
    fn lost(arguments: &Arguments) -> Result<Vec<&'static str>, LayerError>;

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
        Absent::Value(value) if value.to_json().is_null() => None,
        Absent::Value(value) => Some(value.to_python().trim_matches('\'').to_owned()),
        Absent::Required | Absent::SameAs(..) => None,
    };
    FormField {
        name,
        kind,
        default,
        optional: match absent {
            Absent::SameAs(..) => true,
            // `None` is the default: an empty field.
            Absent::Value(value) => value.to_json().is_null(),
            Absent::Required => false,
        },
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
///     form { units: INTEGER, "Units", "Number of outputs."; }     // fields of the form, in its order; `axes as "axis"` if the
///                                                                 // form calls it differently, `l1["0."]` for another default
///     kwargs: true;                                               // whether the form has a field for the rest
///     lost { data_format: DataFormat = ..., }                     // what Keras takes, but does not write; may be left out
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
        form { $($form:ident $(as $shown:literal)? $([$shown_default:literal])?: $kind:expr, $label:literal, $form_help:literal;)* }
        kwargs: $kwargs:literal;
        $(lost { $($lost:ident: $LostType:ty = $lost_default:expr,)* })?
        config { $($(#[$field_doc:meta])* $field:ident: $Type:ty = $absent:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Name { $($(#[$field_doc])* pub $field: $Type,)* }

        impl $crate::keras::layers::declare::Declared for $Name {
            const CLASS: &'static str = stringify!($Name);
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
            const LOST: &'static [&'static str] = &[$($(stringify!($lost)),*)?];
            const ALIASES: &'static [(&'static str, &'static str)] = &[$($(($shown, stringify!($form)),)?)*];

            #[allow(unused_mut, unused_variables, reason = "most layers lose nothing")]
            fn lost(
                arguments: &$crate::keras::layers::arguments::Arguments,
            ) -> Result<Vec<&'static str>, $crate::keras::layers::LayerError> {
                let mut lost = Vec::new();
                $($(
                    let default: $LostType = $lost_default;
                    let given = arguments.get(stringify!($lost), $crate::keras::layers::arguments::Absent::Value(default.clone()))?;
                    if given != default {
                        lost.push(stringify!($lost));
                    }
                )*)?
                Ok(lost)
            }

            #[allow(unused_variables, reason = "some layers have no parameters")]
            fn read(
                arguments: &$crate::keras::layers::arguments::Arguments,
            ) -> Result<Self, $crate::keras::layers::LayerError> {
                Ok(Self { $($field: arguments.get(stringify!($field), $absent)?,)* })
            }

            #[allow(unused_variables, reason = "some layers have no parameters")]
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

            #[allow(unused_imports, reason = "some layers have no parameters")]
            fn spec() -> $crate::keras::layers::spec::LayerSpec {
                use $crate::keras::layers::arguments::Absent;
                $(fn $field() -> Absent<$Type> { $absent })*
                $($(fn $lost() -> Absent<$LostType> { Absent::Value($lost_default) })*)?
                let form: Vec<$crate::keras::layers::spec::FormField> = vec![$($crate::keras::layers::declare::form_field(
                    stringify!($form), $kind, $label, $form_help, &$form(),
                )$(.called($shown))?$(.with_default($shown_default))?),*];
                let shown: &[&str] = &[$(stringify!($form)),*];
                let keywords: Vec<$crate::keras::layers::spec::KeywordSpec> = vec![
                    $($crate::keras::layers::declare::keyword(stringify!($field), &$field()),)*
                    $($($crate::keras::layers::declare::keyword(stringify!($lost), &$lost()),)*)?
                ];
                let kwargs = keywords.into_iter().filter(|keyword| !shown.contains(&keyword.name)).collect();
                $crate::keras::layers::spec::LayerSpec {
                    layer_type: Self::CLASS, group: $group, help: $help, form, has_kwargs: $kwargs, kwargs,
                }
            }
        }
    };
}
pub(crate) use layer;
