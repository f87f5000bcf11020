//! The part of the forms that chooses a table: the dataset, whether it has a header, and its columns.
//!
//! The forms give the same three fields different endings (`1` features, `2` targets, `g` groups, `true` and `predicted` labels).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{DatasetPath, Flag, InputsError};
use crate::galaxy::columns::Selector;

/// A table as a form chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInput {
    /// The dataset.
    pub path: PathBuf,
    /// Whether its first line holds the columns' names.
    pub header: bool,
    /// The columns to read.
    pub columns: Selector,
}

impl TableInput {
    fn new(path: &Path, header: Flag, columns: Selector) -> Self {
        Self {
            path: path.to_path_buf(),
            header: header.0,
            columns,
        }
    }
}

macro_rules! table_form {
    ($(#[$doc:meta])* $form:ident: $dataset:ident, $header:ident, $columns:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        pub struct $form {
            /// The dataset.
            #[serde(default)]
            pub $dataset: DatasetPath,
            /// Whether the dataset has a header.
            #[serde(default)]
            pub $header: Flag,
            /// The chosen columns.
            #[serde(default)]
            pub $columns: Selector,
        }

        impl $form {
            /// The table to read.
            ///
            /// # Errors
            ///
            /// When no dataset is given.
            pub fn table(&self) -> Result<TableInput, InputsError> {
                let path = self.$dataset.required(stringify!($dataset))?;
                Ok(TableInput::new(path, self.$header, self.$columns.clone()))
            }
        }
    };
}

table_form! {
    /// The features: `infile1`, `header1`, `column_selector_options_1`.
    FeaturesInput: infile1, header1, column_selector_options_1
}
table_form! {
    /// The labels or target values: `infile2`, `header2`, `column_selector_options_2`.
    TargetsInput: infile2, header2, column_selector_options_2
}
table_form! {
    /// The groups of a group split: `infile_g`, `header_g`, `column_selector_options_g`.
    GroupsInput: infile_g, header_g, column_selector_options_g
}
table_form! {
    /// The true labels of the confusion matrix: `infile_true`, `header_true`, `column_selector_options_true`.
    TrueLabelsInput: infile_true, header_true, column_selector_options_true
}

/// The predicted labels of the confusion matrix: `infile_predicted`, `header_predicted`; there is no choice of columns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PredictedLabelsInput {
    /// The dataset.
    #[serde(default)]
    pub infile_predicted: DatasetPath,
    /// Whether the dataset has a header.
    #[serde(default)]
    pub header_predicted: Flag,
}

impl PredictedLabelsInput {
    /// The table to read.
    ///
    /// # Errors
    ///
    /// When no dataset is given.
    pub fn table(&self) -> Result<TableInput, InputsError> {
        let path = self.infile_predicted.required("infile_predicted")?;
        Ok(TableInput::new(path, self.header_predicted, Selector::AllColumns))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::from_value;
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename = "selected_input", rename_all = "snake_case")]
    enum InputOptions {
        Tabular(Tabular),
    }

    #[derive(Debug, Deserialize)]
    struct Tabular {
        #[serde(flatten)]
        features: FeaturesInput,
        #[serde(flatten)]
        targets: TargetsInput,
    }

    #[test]
    fn features_and_targets_share_one_object() {
        let form = json!({
            "infile1": "X.tsv", "header1": true,
            "column_selector_options_1": {"col1": "age,miles", "selected_column_selector_option": "by_header_name"},
            "infile2": "y.tsv", "header2": false,
            "column_selector_options_2": {"col2": [2], "selected_column_selector_option2": "by_index_number"},
            "selected_input": "tabular",
        });
        let InputOptions::Tabular(tabular) = from_value(&form).unwrap();
        let features = tabular.features.table().unwrap();
        assert_eq!((features.path.as_path(), features.header), (Path::new("X.tsv"), true));
        assert_eq!(
            features.columns,
            Selector::ByHeaderName(vec!["age".into(), "miles".into()])
        );
        let targets = tabular.targets.table().unwrap();
        assert_eq!((targets.path.as_path(), targets.header), (Path::new("y.tsv"), false));
        assert_eq!(targets.columns, Selector::ByIndexNumber(vec![2]));
    }

    #[test]
    fn labels_for_the_plot() {
        let form = json!({
            "infile_true": "y.tsv", "header_true": "booltrue",
            "column_selector_options_true": {"selected_column_selector_option": "all_columns"},
        });
        let truth: TrueLabelsInput = from_value(&form).unwrap();
        assert!(truth.table().unwrap().header);
        let predicted: PredictedLabelsInput = from_value(&json!({"header_predicted": true})).unwrap();
        assert!(
            predicted
                .table()
                .unwrap_err()
                .to_string()
                .contains("'infile_predicted'")
        );
    }

    #[test]
    fn a_wrong_column_names_its_place() {
        let form = json!({
            "infile1": "X.tsv",
            "column_selector_options_1": {"col1": ["x"], "selected_column_selector_option": "by_index_number"},
        });
        let error = from_value::<FeaturesInput>(&form).unwrap_err();
        assert_eq!(error.place(), "column_selector_options_1");
        assert!(
            error.to_string().ends_with("'x' is not a column number such as 1"),
            "{error}"
        );
    }
}
