//! Reading a JSON value into a form so that every error says where in the JSON it arose, and so that Galaxy's conditionals are enums.
//!
//! serde's internally tagged enums would read conditionals too, but they copy the object first and lose the place of an error in it.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// A parameter that does not fit, and its place in the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    place: String,
    message: String,
}

impl FieldError {
    /// The same error, one level further out.
    fn inside(mut self, segment: &str) -> Self {
        let separator = if self.place.is_empty() || self.place.starts_with('[') {
            ""
        } else {
            "."
        };
        self.place = format!("{segment}{separator}{}", self.place);
        self
    }

    /// The parameter's place, such as `input_options.column_selector_options_1.col1` or `layers[2].units`; empty at the top.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(to, "{}: ", self.place)?;
        }
        to.write_str(&self.message)
    }
}

impl std::error::Error for FieldError {}

impl de::Error for FieldError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            place: String::new(),
            message: message.to_string(),
        }
    }
}

/// A JSON value as a deserialiser.
#[derive(Clone, Copy)]
pub(super) struct Located<'de>(pub(super) &'de Value);

/// What a value is, for messages.
fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Other("null"),
        Value::Bool(flag) => Unexpected::Bool(*flag),
        Value::Number(number) => number.as_f64().map_or(Unexpected::Other("number"), Unexpected::Float),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

impl<'de> Deserializer<'de> for Located<'de> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => number.deserialize_any(visitor).map_err(de::Error::custom),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { rest: items, next: 0 }),
            Value::Object(fields) => visitor.visit_map(Fields::new(fields)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Object(fields) => visitor.visit_map(Fields::new(fields)),
            // serde would take an array for a struct, field by field.
            other => Err(de::Error::invalid_type(unexpected(other), &"an object")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    /// A select is a string; a conditional is an object whose selector is called like the enum.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        selector: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Case {
                name,
                selector: None,
                conditional: None,
            }),
            Value::Object(fields) => match fields.get(selector) {
                Some(Value::String(name)) => visitor.visit_enum(Case {
                    name,
                    selector: Some(selector),
                    conditional: Some(self),
                }),
                Some(other) => {
                    let error: FieldError = de::Error::invalid_type(unexpected(other), &"the name of a case");
                    Err(error.inside(selector))
                }
                None => Err(de::Error::missing_field(selector)),
            },
            other => Err(de::Error::invalid_type(unexpected(other), &"an option's name")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// The items of a list; an error in one gets its index, counted from 0.
struct Items<'de> {
    rest: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = FieldError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, FieldError> {
        let Some((item, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        let index = self.next;
        self.rest = rest;
        self.next += 1;
        seed.deserialize(Located(item))
            .map(Some)
            .map_err(|error| error.inside(&format!("[{index}]")))
    }
}

/// The fields of an object; an error in one gets its key.
struct Fields<'de> {
    rest: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> Fields<'de> {
    fn new(fields: &'de Map<String, Value>) -> Self {
        Self {
            rest: fields.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, FieldError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.current = Some((key, value));
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, FieldError> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Located(value)).map_err(|error| error.inside(key))
    }
}

/// The chosen case of a select, or of a conditional with its inputs.
struct Case<'de> {
    name: &'de str,
    selector: Option<&'static str>,
    conditional: Option<Located<'de>>,
}

impl<'de> Case<'de> {
    fn inputs(&self) -> Result<Located<'de>, FieldError> {
        self.conditional.ok_or_else(|| {
            de::Error::custom(format_args!(
                "the case '{}' has inputs, but only its name is given",
                self.name
            ))
        })
    }
}

impl<'de> EnumAccess<'de> for Case<'de> {
    type Error = FieldError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), FieldError> {
        let name: BorrowedStrDeserializer<'_, FieldError> = BorrowedStrDeserializer::new(self.name);
        match (seed.deserialize(name), self.selector) {
            (Ok(variant), _) => Ok((variant, self)),
            (Err(error), Some(selector)) => Err(error.inside(selector)),
            (Err(error), None) => Err(error),
        }
    }
}

impl<'de> VariantAccess<'de> for Case<'de> {
    type Error = FieldError;

    fn unit_variant(self) -> Result<(), FieldError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, FieldError> {
        seed.deserialize(self.inputs()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, FieldError> {
        self.inputs()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.inputs()?.deserialize_any(visitor)
    }
}
