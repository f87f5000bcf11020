//! Field types for what Galaxy writes in more than one shape.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::InputsError;
use crate::galaxy::text::unescape;

/// What Galaxy writes for "nothing is chosen", besides null and an empty text.
const NOTHING: &str = "None";

/// The options chosen in a select that allows several: a list, or a comma-joined text from profiles before 20.05.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct MultiSelect(pub Vec<String>);

impl MultiSelect {
    /// Whether `option` is chosen.
    #[must_use]
    pub fn contains(&self, option: &str) -> bool {
        self.0.iter().any(|chosen| chosen == option)
    }

    fn from_text(text: &str) -> Self {
        let options = text
            .split(',')
            .map(str::trim)
            .filter(|option| !option.is_empty() && *option != NOTHING);
        Self(options.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for MultiSelect {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Options;

        impl<'de> Visitor<'de> for Options {
            type Value = MultiSelect;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a list of options, or one text with commas between them")
            }

            fn visit_unit<E>(self) -> Result<MultiSelect, E> {
                Ok(MultiSelect::default())
            }

            fn visit_str<E>(self, text: &str) -> Result<MultiSelect, E> {
                Ok(MultiSelect::from_text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<MultiSelect, A::Error> {
                let mut chosen = Vec::new();
                while let Some(option) = items.next_element::<String>()? {
                    if option != NOTHING && !option.is_empty() {
                        chosen.push(option);
                    }
                }
                Ok(MultiSelect(chosen))
            }
        }

        from.deserialize_any(Options)
    }
}

/// Column numbers, counted from 1: a list, a comma-joined text or one number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct ColumnList(pub Vec<usize>);

fn column_number<E: de::Error>(number: u64) -> Result<usize, E> {
    match usize::try_from(number) {
        Ok(column) if column > 0 => Ok(column),
        _ => Err(E::custom(format_args!(
            "{number} is not a column number: columns are counted from 1"
        ))),
    }
}

impl<'de> Deserialize<'de> for ColumnList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Columns;

        impl<'de> Visitor<'de> for Columns {
            type Value = ColumnList;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("column numbers, counted from 1")
            }

            fn visit_unit<E>(self) -> Result<ColumnList, E> {
                Ok(ColumnList::default())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ColumnList, E> {
                Ok(ColumnList(vec![column_number(number)?]))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ColumnList, E> {
                let numbers = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty() && *item != NOTHING);
                let columns = numbers.map(|item| match item.parse() {
                    Ok(number) => column_number(number),
                    Err(_) => Err(E::custom(format_args!("'{item}' is not a column number such as 1"))),
                });
                columns.collect::<Result<_, E>>().map(ColumnList)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ColumnList, A::Error> {
                let mut columns = Vec::new();
                while let Some(ColumnList(mut several)) = items.next_element()? {
                    columns.append(&mut several);
                }
                Ok(ColumnList(columns))
            }
        }

        from.deserialize_any(Columns)
    }
}

/// A text, with the characters restored that Galaxy's sanitiser spelt out; null is the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl Text {
    /// The text without spaces around it, or nothing if it is empty.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        let trimmed = self.0.trim();
        (!trimmed.is_empty()).then_some(trimmed)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(Self(text.map(|escaped| unescape(&escaped)).unwrap_or_default()))
    }
}

/// A number, a text that holds one, or nothing (null, an empty text, `None`).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct OptionalNumber(pub Option<f64>);

/// An integer, a text that holds one, or nothing (null, an empty text, `None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct OptionalInteger(pub Option<i64>);

/// The scalar shapes in which a number can arrive.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, a text that holds a number, or nothing")]
enum Scalar {
    Nothing(()),
    Integer(i64),
    Float(f64),
    Text(String),
}

fn is_nothing(text: &str) -> bool {
    text.is_empty() || text == NOTHING
}

impl<'de> Deserialize<'de> for OptionalNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = match Scalar::deserialize(from)? {
            Scalar::Nothing(()) => None,
            // Form values are settings such as rates and sizes, far below 2^53.
            #[expect(
                clippy::cast_precision_loss,
                reason = "an integer typed into a field for real numbers"
            )]
            Scalar::Integer(number) => Some(number as f64),
            Scalar::Float(number) => Some(number),
            Scalar::Text(text) if is_nothing(text.trim()) => None,
            Scalar::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Some(number),
                _ => {
                    return Err(de::Error::custom(format_args!(
                        "'{text}' is not a number such as 0.001"
                    )));
                }
            },
        };
        Ok(Self(number))
    }
}

impl<'de> Deserialize<'de> for OptionalInteger {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (number, shown) = match Scalar::deserialize(from)? {
            Scalar::Nothing(()) => return Ok(Self(None)),
            Scalar::Integer(number) => return Ok(Self(Some(number))),
            Scalar::Float(number) => (integral(number), number.to_string()),
            Scalar::Text(text) if is_nothing(text.trim()) => return Ok(Self(None)),
            Scalar::Text(text) => {
                let trimmed = text.trim();
                (trimmed.parse().ok().or_else(|| integral(trimmed.parse().ok()?)), text)
            }
        };
        match number {
            Some(_) => Ok(Self(number)),
            None => Err(de::Error::custom(format_args!(
                "'{shown}' is not a whole number such as 42"
            ))),
        }
    }
}

/// `number` as an integer, if it is one that a double holds exactly.
fn integral(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be a whole number within 2^53"
    )]
    let integer = number as i64;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(integer)
}

/// A check box: true or false, or the texts that Galaxy and its wrappers use for them. Null is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Check;

        impl Visitor<'_> for Check {
            type Value = Flag;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("true or false")
            }

            fn visit_unit<E>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
                match text.to_ascii_lowercase().as_str() {
                    "true" | "booltrue" => Ok(Flag(true)),
                    "false" | "boolfalse" | "none" | "" => Ok(Flag(false)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        from.deserialize_any(Check)
    }
}

/// The path of a dataset; null, `None` and an empty text mean that none is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct DatasetPath(pub Option<PathBuf>);

impl DatasetPath {
    /// The path, if a dataset is given.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// The path of a dataset that the tool cannot do without; `name` is the parameter's name in the form.
    ///
    /// # Errors
    ///
    /// When no dataset is given.
    pub fn required(&self, name: &'static str) -> Result<&Path, InputsError> {
        self.path().ok_or(InputsError::NoDataset { name })
    }
}

impl<'de> Deserialize<'de> for DatasetPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let path = Option::<String>::deserialize(from)?;
        Ok(Self(path.filter(|path| !is_nothing(path)).map(PathBuf::from)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::from_value;
    use super::*;

    fn values<T: de::DeserializeOwned>(shapes: &[Value]) -> Vec<T> {
        shapes.iter().map(|shape| from_value(shape).unwrap()).collect()
    }

    fn complaint<T: de::DeserializeOwned + fmt::Debug>(shape: &Value) -> String {
        from_value::<T>(shape).unwrap_err().to_string()
    }

    #[test]
    fn multi_selects_are_texts_or_lists() {
        let nothing = [json!(null), json!(""), json!("None"), json!([]), json!(["None"])];
        assert!(values::<MultiSelect>(&nothing).iter().all(|chosen| chosen.0.is_empty()));
        for chosen in values::<MultiSelect>(&[json!("acc,mse"), json!(["acc", "mse"]), json!("acc, mse")]) {
            assert_eq!(chosen.0, ["acc", "mse"]);
            assert!(chosen.contains("mse") && !chosen.contains("mae"));
        }
        assert!(complaint::<MultiSelect>(&json!(3)).contains("a list of options"));
    }

    #[test]
    fn column_lists_are_numbers_texts_or_lists() {
        for list in values::<ColumnList>(&[json!([1, 3]), json!("1, 3"), json!(["1", 3])]) {
            assert_eq!(list.0, [1, 3]);
        }
        assert_eq!(from_value::<ColumnList>(&json!(7)).unwrap().0, [7]);
        assert!(
            values::<ColumnList>(&[json!(null), json!(""), json!("None")])
                .iter()
                .all(|list| list.0.is_empty())
        );
        assert_eq!(
            complaint::<ColumnList>(&json!([1, 0])),
            "[1]: 0 is not a column number: columns are counted from 1"
        );
        assert_eq!(
            complaint::<ColumnList>(&json!("1,b")),
            "'b' is not a column number such as 1"
        );
    }

    #[test]
    fn numbers_may_be_texts_or_nothing() {
        for number in values::<OptionalNumber>(&[json!(1e-7), json!("1e-7"), json!(" 0.0000001 ")]) {
            assert_eq!(number.0, Some(1e-7));
        }
        assert!(
            values::<OptionalNumber>(&[json!(null), json!(""), json!("None")])
                .iter()
                .all(|n| n.0.is_none())
        );
        assert_eq!(from_value::<OptionalNumber>(&json!(2)).unwrap().0, Some(2.0));
        assert_eq!(
            complaint::<OptionalNumber>(&json!("0,1")),
            "'0,1' is not a number such as 0.001"
        );
        assert_eq!(
            complaint::<OptionalNumber>(&json!("nan")),
            "'nan' is not a number such as 0.001"
        );
        assert!(complaint::<OptionalNumber>(&json!([1])).contains("expected a number"));
    }

    #[test]
    fn integers_are_whole() {
        for number in values::<OptionalInteger>(&[json!(42), json!("42"), json!(42.0), json!("42.0")]) {
            assert_eq!(number.0, Some(42));
        }
        assert_eq!(from_value::<OptionalInteger>(&json!("")).unwrap().0, None);
        assert_eq!(
            complaint::<OptionalInteger>(&json!(0.5)),
            "'0.5' is not a whole number such as 42"
        );
        assert_eq!(
            complaint::<OptionalInteger>(&json!("many")),
            "'many' is not a whole number such as 42"
        );
    }

    #[test]
    fn flags_have_many_shapes() {
        assert!(
            values::<Flag>(&[json!(true), json!("booltrue"), json!("true"), json!("True")])
                .iter()
                .all(|f| f.0)
        );
        let off = [json!(false), json!("boolfalse"), json!("False"), json!(null), json!("")];
        assert!(values::<Flag>(&off).iter().all(|flag| !flag.0));
        assert_eq!(
            complaint::<Flag>(&json!("perhaps")),
            "invalid value: string \"perhaps\", expected true or false"
        );
    }

    #[test]
    fn texts_are_restored() {
        assert_eq!(
            from_value::<Text>(&json!("padding=__sq__same__sq__")).unwrap().0,
            "padding='same'"
        );
        assert_eq!(from_value::<Text>(&json!(null)).unwrap().given(), None);
        assert_eq!(from_value::<Text>(&json!("  a ")).unwrap().given(), Some("a"));
    }

    #[test]
    fn datasets_may_be_absent() {
        let given: DatasetPath = from_value(&json!("/data/x.tsv")).unwrap();
        assert_eq!(given.required("infile1").unwrap(), Path::new("/data/x.tsv"));
        for absent in values::<DatasetPath>(&[json!(null), json!("None"), json!("")]) {
            let error = absent.required("infile1").unwrap_err();
            assert_eq!(
                error.to_string(),
                "no dataset is given for 'infile1': select one in the form"
            );
        }
    }
}
