//! The inputs JSON: reading it, and the field types that Galaxy writes in more than one shape.
//!
//! The wrappers pass `<inputs data_style="paths"/>`: one object that mirrors the form, with the datasets' paths under their names.
//! Tools mirror it with plain serde structs. Unknown keys are ignored (a server with job resources adds `__job_resource`).
//!
//! A Galaxy *conditional* is an object that holds the active case's inputs and, as its last key, the selector. Write it as an enum that
//! carries the selector's name, and errors inside a case keep their place in the form:
//!
//! ```
//! use galaxy_burn_core::galaxy::inputs;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename = "shuffle")]
//! enum Split {
//!     None { test_size: f64 },
//!     #[serde(rename = "simple")]
//!     Simple { test_size: f64, random_state: Option<u32> },
//! }
//!
//! let value = serde_json::json!({"test_size": 0.2, "random_state": null, "shuffle": "simple"});
//! assert!(matches!(inputs::from_value(&value), Ok(Split::Simple { test_size: 0.2, random_state: None })));
//!
//! let value = serde_json::json!({"test_size": "much", "random_state": null, "shuffle": "simple"});
//! let error = inputs::from_value::<Split>(&value).map(|_| ()).unwrap_err();
//! assert_eq!(error.to_string(), "test_size: invalid type: string \"much\", expected f64");
//! ```

mod fields;
mod located;
mod tabular;

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use fields::{ColumnList, DatasetPath, Flag, MultiSelect, OptionalInteger, OptionalNumber, Text};
pub use located::FieldError;
pub use tabular::{FeaturesInput, GroupsInput, PredictedLabelsInput, TableInput, TargetsInput, TrueLabelsInput};

/// Why the inputs JSON cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// The file cannot be read.
    #[error("cannot read the inputs file {path}: {source}", path = path.display())]
    Unreadable {
        /// The inputs file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error("the inputs file {path} is empty: it should hold one JSON object with the tool's parameters", path = path.display())]
    Empty {
        /// The inputs file.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("the inputs file {path} is not text: pass the JSON file with the tool's parameters", path = path.display())]
    Binary {
        /// The inputs file.
        path: PathBuf,
    },
    /// The file is text but not JSON.
    #[error("the inputs file {path} is not valid JSON: {source}", path = path.display())]
    NotJson {
        /// The inputs file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A parameter is missing or of the wrong kind.
    #[error("{path}: {source}", path = path.display())]
    Field {
        /// The inputs file.
        path: PathBuf,
        /// The parameter's place in the JSON, and what is wrong with it.
        source: FieldError,
    },
    /// A dataset that the tool needs is not given.
    #[error("no dataset is given for '{name}': select one in the form")]
    NoDataset {
        /// The parameter's name.
        name: &'static str,
    },
}

/// Reads the inputs JSON at `path` into the tool's form.
///
/// # Errors
///
/// When the file is missing, empty, binary or not JSON, or a parameter does not fit: the error says at which place in the JSON.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, InputsError> {
    let bytes = std::fs::read(path).map_err(|source| InputsError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(InputsError::Empty {
            path: path.to_path_buf(),
        });
    }
    if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() {
        return Err(InputsError::Binary {
            path: path.to_path_buf(),
        });
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|source| InputsError::NotJson {
        path: path.to_path_buf(),
        source,
    })?;
    from_value(&value).map_err(|source| InputsError::Field {
        path: path.to_path_buf(),
        source,
    })
}

/// Reads a part of the inputs JSON into its form.
///
/// # Errors
///
/// When a parameter does not fit: the error says at which place below `value`.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    T::deserialize(located::Located(value))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename = "kind")]
    enum Layer {
        Dense { units: u32 },
        Flatten,
        Named(Name),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name {
        name: Text,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Form {
        layers: Vec<Layer>,
        save: MultiSelect,
    }

    fn read_text(text: impl AsRef<[u8]>) -> Result<Form, InputsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    /// The error's message behind the file's name.
    fn complaint(text: impl AsRef<[u8]>) -> String {
        let error = read_text(text).unwrap_err();
        let InputsError::Field { source, .. } = error else {
            panic!("unexpected: {error}")
        };
        source.to_string()
    }

    #[test]
    fn conditionals_become_enums_by_their_selector() {
        let form = read_text(
            r#"{"layers": [{"units": 3, "kind": "Dense"}, {"kind": "Flatten"}, {"name": "a__at__b", "kind": "Named"}],
                "save": "None", "__job_resource": {"x": 1}}"#,
        );
        let named = Layer::Named(Name {
            name: Text("a@b".into()),
        });
        assert_eq!(
            form.unwrap(),
            Form {
                layers: vec![Layer::Dense { units: 3 }, Layer::Flatten, named],
                save: MultiSelect::default()
            }
        );
    }

    #[test]
    fn an_error_names_the_place_in_the_json() {
        assert_eq!(
            complaint(r#"{"layers": [{"kind": "Flatten"}, {"units": "x", "kind": "Dense"}], "save": null}"#),
            "layers[1].units: invalid type: string \"x\", expected u32"
        );
        assert_eq!(
            complaint(r#"{"layers": [{"kind": "Desne"}], "save": null}"#),
            "layers[0].kind: unknown variant `Desne`, expected one of `Dense`, `Flatten`, `Named`"
        );
        assert_eq!(
            complaint(r#"{"layers": [{"kind": "Dense"}], "save": null}"#),
            "layers[0]: missing field `units`"
        );
        assert_eq!(
            complaint(r#"{"layers": [{"units": 3}], "save": null}"#),
            "layers[0]: missing field `kind`"
        );
        assert_eq!(complaint(r#"{"layers": []}"#), "missing field `save`");
        assert_eq!(complaint("[1, 2]"), "invalid type: sequence, expected an object");
    }

    #[test]
    fn files_that_are_no_inputs_are_told_apart() {
        assert!(matches!(read_text(""), Err(InputsError::Empty { .. })));
        assert!(matches!(read_text(" \n"), Err(InputsError::Empty { .. })));
        assert!(matches!(
            read_text(b"\x89HDF\r\n\x1a\n\0\0"),
            Err(InputsError::Binary { .. })
        ));
        let error = read_text(r#"{"layers": "#).unwrap_err();
        assert!(
            error.to_string().contains("is not valid JSON: EOF while parsing"),
            "{error}"
        );
        let error = read::<Form>(Path::new("/nowhere/inputs.json")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot read the inputs file /nowhere/inputs.json: "),
            "{error}"
        );
    }

    #[test]
    fn plain_selects_are_unit_variants() {
        assert_eq!(from_value::<Layer>(&json!("Flatten")).unwrap(), Layer::Flatten);
        let error = from_value::<Layer>(&json!("Dense")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the case 'Dense' has inputs, but only its name is given"
        );
    }
}
