//! What a layer parameter can be: each type says how it is read from a Python literal or a form text, and how Keras writes it.

use serde_json::Value;

use crate::keras::initializer::Initializer;
use crate::keras::literal::{Literal, float_repr, quoted};

/// Sizes and counts above this are refused: no layer is that large, and products of a few still fit 64 bits.
const LARGEST: i64 = i32::MAX as i64;

/// The type of a layer parameter.
///
/// Errors are half sentences ("expected a positive integer"); the caller knows layer, parameter and value and says so.
pub trait Field: Sized {
    /// What can be written, in words: "a positive integer".
    fn expected() -> String;

    /// Reads the value from a Python literal or from JSON that was turned into one.
    ///
    /// # Errors
    ///
    /// What is wrong with the value.
    fn from_literal(literal: &Literal) -> Result<Self, String>;

    /// Reads the value from the text of a form field, which is a Python literal unless the type is a text itself.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    fn from_text(text: &str) -> Result<Self, String> {
        let literal = Literal::parse(text).map_err(|error| format!("expected {}; {error}", Self::expected()))?;
        Self::from_literal(&literal)
    }

    /// Reads the text of a form field whose parameter may be left out; some forms have a text of their own for "not given".
    ///
    /// # Errors
    ///
    /// As [`Field::from_text`].
    fn from_optional_text(text: &str) -> Result<Option<Self>, String> {
        Self::from_text(text).map(Some)
    }

    /// As Keras 2.3.1 writes it into a configuration.
    fn to_json(&self) -> Value;

    /// As one would write it in Python, for documentation.
    fn to_python(&self) -> String {
        Literal::from_json(&self.to_json()).to_string()
    }

    /// Itself, if it is an initializer.
    fn as_initializer(&mut self) -> Option<&mut Initializer> {
        None
    }
}

/// "expected X", for a value of another type.
#[must_use]
pub fn mismatch<T: Field>() -> String {
    format!("expected {}", T::expected())
}

impl Field for usize {
    fn expected() -> String {
        "a positive integer".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Int(value @ 1..=LARGEST) => Self::try_from(*value).map_err(|_| mismatch::<Self>()),
            Literal::Int(value) if *value > LARGEST => Err(format!("at most {LARGEST} is possible")),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Field for i64 {
    fn expected() -> String {
        "an integer".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Int(value) => Ok(*value),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Field for f64 {
    fn expected() -> String {
        "a number".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        Number::from_literal(literal).map(Number::get)
    }

    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Field for bool {
    fn expected() -> String {
        "True or False".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Bool(value) => Ok(*value),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "True" | "true" | "booltrue" => Ok(true),
            "False" | "false" | "boolfalse" => Ok(false),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Field for String {
    fn expected() -> String {
        "a text in quotes".into()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Str(text) => Ok(text.clone()),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn to_json(&self) -> Value {
        Value::from(self.as_str())
    }
}

/// A number that Keras keeps as it was given: `2` is written as `2`, `2.0` as `2.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Given as an integer.
    Int(i64),
    /// Given as a float.
    Float(f64),
}

impl Number {
    /// The value to compute with.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "Python computes with the same rounding")]
    pub fn get(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl Field for Number {
    fn expected() -> String {
        f64::expected()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Int(value) => Ok(Self::Int(*value)),
            Literal::Float(value) => Ok(Self::Float(*value)),
            _ => Err(mismatch::<Self>()),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float_repr(*value)),
        }
    }
}

/// A number that Keras keeps as a 32-bit float and writes so: 0.3 becomes 0.30000001192092896.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Single(pub f32);

impl Field for Single {
    fn expected() -> String {
        f64::expected()
    }

    #[expect(clippy::cast_possible_truncation, reason = "Keras rounds to 32 bits, and so do we")]
    fn from_literal(literal: &Literal) -> Result<Self, String> {
        let single = Number::from_literal(literal)?.get() as f32;
        if single.is_finite() {
            Ok(Self(single))
        } else {
            Err("too large for a 32-bit float".into())
        }
    }

    fn to_json(&self) -> Value {
        Value::from(f64::from(self.0))
    }

    /// The shortest digits that mean the same 32-bit float.
    fn to_python(&self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for Single {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<T: Field> Field for Option<T> {
    fn expected() -> String {
        format!("{} or None", T::expected())
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::None => Ok(None),
            literal => T::from_literal(literal).map(Some).map_err(|problem| {
                if problem == mismatch::<T>() {
                    mismatch::<Self>()
                } else {
                    problem
                }
            }),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        T::from_optional_text(text)
    }

    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::to_json)
    }

    fn to_python(&self) -> String {
        self.as_ref().map_or_else(|| "None".into(), Field::to_python)
    }
}

/// Sizes along `N` axes; one number stands for the same along each.
impl<const N: usize> Field for [usize; N] {
    fn expected() -> String {
        match N {
            1 => usize::expected(),
            _ => format!("a positive integer or a tuple of {N}"),
        }
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        let Some(items) = literal.items() else {
            return usize::from_literal(literal).map(|size| [size; N]);
        };
        let sizes: Vec<usize> = items.iter().map(usize::from_literal).collect::<Result<_, _>>()?;
        sizes.try_into().map_err(|_| mismatch::<Self>())
    }

    fn to_json(&self) -> Value {
        Value::from(self.as_slice())
    }

    fn to_python(&self) -> String {
        let sizes: Vec<String> = self.iter().map(usize::to_string).collect();
        if N == 1 {
            sizes.concat()
        } else {
            format!("({})", sizes.join(", "))
        }
    }
}

/// Sizes along `N` axes that may be 0; one number stands for the same along each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padded<const N: usize>(pub [usize; N]);

impl<const N: usize> Field for Padded<N> {
    fn expected() -> String {
        format!("an integer of at least 0 or a tuple of {N}")
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        let Some(items) = literal.items() else {
            return size_or_zero(literal)
                .map(|size| Self([size; N]))
                .ok_or_else(mismatch::<Self>);
        };
        let sizes: Option<Vec<usize>> = items.iter().map(size_or_zero).collect();
        sizes
            .and_then(|sizes| sizes.try_into().ok())
            .map(Self)
            .ok_or_else(mismatch::<Self>)
    }

    fn to_json(&self) -> Value {
        Value::from(self.0.as_slice())
    }
}

fn size_or_zero(literal: &Literal) -> Option<usize> {
    match literal {
        Literal::Int(value @ 0..=LARGEST) => usize::try_from(*value).ok(),
        _ => None,
    }
}

/// What is added or cut off before and after each of `N` axes. One number stands for all of it, a tuple of `N` numbers for the same
/// before and after each axis; Keras writes a single axis as `[before, after]`, several as a list of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> Margins<N> {
    fn read(literal: &Literal) -> Option<[[usize; 2]; N]> {
        let pair = |literal: &Literal| match literal.items() {
            Some([before, after]) => Some([size_or_zero(before)?, size_or_zero(after)?]),
            Some(_) => None,
            None => size_or_zero(literal).map(|size| [size; 2]),
        };
        match literal.items() {
            Some([_, _]) if N == 1 => Some([pair(literal)?; N]),
            Some(axes) => axes.iter().map(pair).collect::<Option<Vec<_>>>()?.try_into().ok(),
            None => Some([pair(literal)?; N]),
        }
    }
}

impl<const N: usize> Field for Margins<N> {
    fn expected() -> String {
        match N {
            1 => "an integer of at least 0 or a tuple (before, after)".into(),
            _ => format!("an integer of at least 0, or a tuple of {N}, each an integer or (before, after)"),
        }
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        Self::read(literal).map(Self).ok_or_else(mismatch::<Self>)
    }

    fn to_json(&self) -> Value {
        let pairs = || self.0.iter().map(|pair| Value::from(pair.as_slice()));
        match N {
            1 => pairs().collect::<Vec<_>>().swap_remove(0),
            _ => pairs().collect(),
        }
    }

    fn to_python(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|[before, after]| format!("({before}, {after})"))
            .collect();
        if N == 1 {
            pairs.concat()
        } else {
            format!("({})", pairs.join(", "))
        }
    }
}

/// A shape; one number stands for a shape with one axis, as `(784)` without its comma is a number in Python.
impl<T: Field> Field for Vec<T> {
    fn expected() -> String {
        format!("a tuple in which each is {}", T::expected())
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        let Some(items) = literal.items() else {
            return match literal {
                Literal::Int(_) => T::from_literal(literal).map(|item| vec![item]),
                _ => Err(mismatch::<Self>()),
            };
        };
        items
            .iter()
            .map(|item| T::from_literal(item).map_err(|problem| format!("{problem} in place of {item}")))
            .collect()
    }

    fn to_json(&self) -> Value {
        self.iter().map(Field::to_json).collect()
    }
}

/// The axis that [`BatchNormalization`](crate::keras::layers::BatchNormalization) keeps, counted with the batch axis; negative from
/// the end. Newer Keras writes it as a list of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis(pub i64);

impl Field for Axis {
    fn expected() -> String {
        i64::expected()
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal.items() {
            Some([axis]) => i64::from_literal(axis).map(Self),
            Some(_) => Err(mismatch::<Self>()),
            None => i64::from_literal(literal).map(Self),
        }
    }

    fn to_json(&self) -> Value {
        Value::from(self.0)
    }
}

/// Declares an enum of Keras names: the variants, their spelling, and reading and writing them.
macro_rules! names {
    ($(#[$doc:meta])* $Name:ident, $what:literal { $($(#[$variant_doc:meta])* $Variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $Name { $($(#[$variant_doc])* $Variant,)+ }

        impl $Name {
            /// Every value, in the order of the form.
            pub const ALL: [Self; Self::NAMES.len()] = [$(Self::$Variant),+];
            /// Every name, in the order of the form.
            pub const NAMES: &[&str] = &[$($text),+];

            /// Keras's spelling.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$Variant => $text),+ }
            }

            /// Finds the value by Keras's spelling.
            ///
            /// # Errors
            ///
            /// The name is unknown; the error lists near ones.
            pub fn from_name(name: &str) -> Result<Self, String> {
                match name {
                    $($text => Ok(Self::$Variant),)+
                    _ => Err(format!("unknown {}; {}", $what, $crate::keras::suggest::did_you_mean(name, Self::NAMES))),
                }
            }
        }
    };
}
pub(crate) use names;

/// "one of 'a', 'b', 'c'".
#[must_use]
pub fn one_of(names: &[&str]) -> String {
    let all: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("one of {}", all.join(", "))
}

names! {
    /// What happens at the borders of a convolution or pooling.
    Padding, "padding" {
        /// Only windows that lie inside the input.
        Valid = "valid",
        /// Zeros around the input, so that with stride 1 the output has the input's size.
        Same = "same",
        /// Zeros before the first step only: no output sees a later input (one-dimensional convolution).
        Causal = "causal",
    }
}

names! {
    /// Where the channel axis is.
    DataFormat, "data format" {
        /// `[batch, ..., channels]`
        ChannelsLast = "channels_last",
        /// `[batch, channels, ...]`
        ChannelsFirst = "channels_first",
    }
}

names! {
    /// How the rows and columns of a larger image are found.
    Interpolation, "interpolation" {
        /// Each is a copy of the nearest.
        Nearest = "nearest",
        /// Each lies on a straight line between its neighbours, along both axes.
        Bilinear = "bilinear",
    }
}

names! {
    /// The type of a layer's numbers.
    Dtype, "dtype" {
        /// 32-bit floats, the type that the engine computes in.
        Float32 = "float32",
        /// 64-bit floats.
        Float64 = "float64",
        /// 32-bit integers.
        Int32 = "int32",
        /// 64-bit integers.
        Int64 = "int64",
    }
}

/// The names are read from text; `None` stands for `$absent` where Keras has such a default.
macro_rules! name_field {
    ($Name:ident $(, none = $absent:expr)?) => {
        impl $crate::keras::field::Field for $Name {
            fn expected() -> String {
                $crate::keras::field::one_of(Self::NAMES)
            }

            fn from_literal(literal: &$crate::keras::literal::Literal) -> Result<Self, String> {
                match literal {
                    $crate::keras::literal::Literal::Str(name) => Self::from_name(name),
                    $($crate::keras::literal::Literal::None => Ok($absent),)?
                    _ => Err($crate::keras::field::mismatch::<Self>()),
                }
            }

            fn from_text(text: &str) -> Result<Self, String> {
                Self::from_name(text.trim())
            }

            fn to_json(&self) -> serde_json::Value {
                serde_json::Value::from(self.name())
            }
        }
    };
}
pub(crate) use name_field;

name_field!(Padding);
name_field!(Interpolation);
name_field!(DataFormat, none = DataFormat::ChannelsLast);

/// Keras 3 wraps the type's name into a policy object.
impl Field for Dtype {
    fn expected() -> String {
        one_of(Self::NAMES)
    }

    fn from_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::None => Ok(Self::Float32),
            Literal::Str(name) => Self::from_name(name),
            Literal::Dict(_) => {
                let mut policy = crate::keras::object::Object::read(literal, "dtype policy")?;
                match policy.name() {
                    "DTypePolicy" | "Policy" => Self::from_name(&policy.take("name", String::new())?),
                    other => Err(format!("unknown dtype policy {}", quoted(other))),
                }
            }
            _ => Err(mismatch::<Self>()),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_name(text.trim())
    }

    fn to_json(&self) -> Value {
        Value::from(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Field>(text: &str) -> Result<T, String> {
        T::from_literal(&Literal::parse(text).map_err(|error| error.to_string())?)
    }

    #[test]
    fn one_size_stands_for_all_axes() {
        assert_eq!(read::<[usize; 2]>("3"), Ok([3, 3]));
        assert_eq!(read::<[usize; 2]>("(3, 5)"), Ok([3, 5]));
        assert_eq!(read::<[usize; 1]>("(3,)"), Ok([3]));
        assert_eq!(
            read::<[usize; 2]>("(1, 2, 3)"),
            Err("expected a positive integer or a tuple of 2".into())
        );
    }

    #[test]
    fn sizes_are_positive() {
        for text in ["0", "-1", "1.5", "True", "None", "'3'"] {
            assert_eq!(read::<usize>(text), Err("expected a positive integer".into()), "{text}");
        }
        assert_eq!(
            read::<usize>("3000000000"),
            Err("at most 2147483647 is possible".into())
        );
    }

    #[test]
    fn numbers_keep_how_they_were_written() {
        assert_eq!(
            read::<Number>("2").map(|number| number.to_json().to_string()),
            Ok("2".into())
        );
        assert_eq!(
            read::<Number>("2.").map(|number| number.to_json().to_string()),
            Ok("2.0".into())
        );
    }

    #[test]
    fn a_shape_without_its_comma_is_a_shape() {
        assert_eq!(read::<Vec<Option<usize>>>("(784)"), Ok(vec![Some(784)]));
        assert_eq!(read::<Vec<Option<usize>>>("(None, 3)"), Ok(vec![None, Some(3)]));
    }

    #[test]
    fn keras_3_dtype_policies_are_read() {
        let policy =
            "{'module': 'keras', 'class_name': 'DTypePolicy', 'config': {'name': 'float32'}, 'registered_name': None}";
        assert_eq!(read::<Dtype>(policy), Ok(Dtype::Float32));
        assert_eq!(read::<Dtype>("None"), Ok(Dtype::Float32));
    }
}
