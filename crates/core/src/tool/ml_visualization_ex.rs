//! Machine Learning Visualization: the confusion matrix of true and predicted class labels, as a picture.
//!
//! Of the true labels' table the last of the chosen columns counts, of the predictions' table its last column. One-hot columns are
//! decoded where the predictions show that class numbers are meant.

mod labels;

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;

use crate::galaxy::inputs::{self, PredictedLabelsInput, Text, TrueLabelsInput};
use crate::galaxy::output::Outputs;
use crate::galaxy::table::{self, Cells};
use crate::plot::colormap::ColorMap;
use crate::plot::confusion_matrix::ConfusionMatrix;
use crate::{Error, Result};
use labels::{Labels, are_numbers_of, compare, one_hot_classes};

pub use labels::LabelsError;

/// The picture's file name in the job's working directory.
pub const OUTPUT: &str = "output";

#[derive(Debug, Deserialize)]
struct Form {
    plotting_selection: Plot,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "plot_type", rename_all = "snake_case")]
enum Plot {
    ClassificationConfusionMatrix(ConfusionMatrixForm),
    LearningCurve,
    PrCurve,
    RocCurve,
    RfecvGridscores,
    FeatureImportances,
    KerasPlotModel,
}

#[derive(Debug, Deserialize)]
struct ConfusionMatrixForm {
    #[serde(flatten)]
    truth: TrueLabelsInput,
    #[serde(flatten)]
    predicted: PredictedLabelsInput,
    #[serde(default = "default_title")]
    title: Text,
    #[serde(default)]
    plot_color: ColorMap,
    #[serde(default, rename = "plot_format")]
    _format: Format,
}

/// The form's hidden field: there is one format, any other is an error.
#[derive(Debug, Default, Deserialize)]
enum Format {
    #[default]
    #[serde(rename = "png")]
    Png,
}

fn default_title() -> Text {
    Text("Confusion matrix between true and predicted labels".to_owned())
}

/// Reads the inputs JSON, draws the plot that it asks for to [`OUTPUT`] in `dir`, and writes a report of the scores to `report`.
///
/// # Errors
///
/// When the form or a table is at fault, or the picture or the report cannot be written. No output file is left then.
pub fn run(inputs: &Path, dir: &Path, report: &mut dyn Write) -> Result<()> {
    let form: Form = inputs::read(inputs)?;
    let name = match form.plotting_selection {
        Plot::ClassificationConfusionMatrix(form) => return confusion_matrix(&form, dir, report),
        Plot::LearningCurve => "learning_curve",
        Plot::PrCurve => "pr_curve",
        Plot::RocCurve => "roc_curve",
        Plot::RfecvGridscores => "rfecv_gridscores",
        Plot::FeatureImportances => "feature_importances",
        Plot::KerasPlotModel => "keras_plot_model",
    };
    Err(Error::Input(format!(
        "the plot type '{name}' is not supported yet: choose 'classification_confusion_matrix'"
    )))
}

fn confusion_matrix(form: &ConfusionMatrixForm, dir: &Path, report: &mut dyn Write) -> Result<()> {
    let (truth, predicted) = (form.truth.table()?, form.predicted.table()?);
    let mut notes = Vec::new();
    let true_table = table::read_cells(&truth.path, truth.header, &truth.columns)?;
    let predicted_table = table::read_cells(&predicted.path, predicted.header, &predicted.columns)?;
    for warning in true_table.warnings.iter().chain(&predicted_table.warnings) {
        notes.push(format!("warning: {warning}"));
    }
    let predictions = last_column(predicted_table, predicted.header);
    let truth = true_labels(true_table, truth.header, &predictions, &mut notes);
    let (matrix, shared) = compare(&truth, &predictions)?;
    if !shared {
        notes.push(format!(
            "warning: no label of {} occurs in {}: are these labels and predictions of the same classes?",
            predictions.file.display(),
            truth.file.display()
        ));
    }

    let png = matrix.draw(&form.title.0, form.plot_color)?.to_png()?;
    let mut outputs = Outputs::in_dir(dir);
    outputs.write(OUTPUT, |file| file.write_all(&png))?;
    let text = notes.into_iter().map(|note| note + "\n").collect::<String>() + &scores(&matrix);
    report.write_all(text.as_bytes()).map_err(|source| Error::Write {
        path: "standard output".into(),
        source,
    })?;
    outputs.commit()?;
    Ok(())
}

/// The true labels: the last column, or what the columns together say if they are one-hot and the predictions are class numbers. (The
/// original would compare those with the 0 or 1 of the last class.)
fn true_labels(table: Cells, header: bool, predictions: &Labels, notes: &mut Vec<String>) -> Labels {
    let (file, columns) = (table.file.display(), table.columns);
    if are_numbers_of(columns, &predictions.cells)
        && let Some(cells) = one_hot_classes(&table)
    {
        notes.push(format!(
            "the {columns} columns of {file} are one-hot: read as classes 0 to {}",
            columns - 1
        ));
        return Labels {
            file: table.file,
            header,
            cells,
            lines: table.lines,
        };
    }
    if columns > 1 {
        notes.push(format!(
            "{columns} columns of {file} are chosen: the last one is taken as the true labels"
        ));
    }
    last_column(table, header)
}

fn last_column(table: Cells, header: bool) -> Labels {
    let cells = table.column(table.columns.saturating_sub(1)).cloned().collect();
    Labels {
        file: table.file,
        header,
        cells,
        lines: table.lines,
    }
}

/// Accuracy, and a line of scores for each class.
fn scores(matrix: &ConfusionMatrix) -> String {
    let (correct, all) = matrix.correct();
    let width = matrix
        .labels()
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = format!("accuracy {:.4} ({correct} of {all})\n", matrix.accuracy());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:width$}  precision  recall      f1  samples", "class");
    for (label, class) in matrix.labels().iter().zip(matrix.scores()) {
        let _ = writeln!(
            text,
            "{label:width$}  {:9.4}  {:6.4}  {:6.4}  {:7}",
            class.precision, class.recall, class.f1, class.support
        );
    }
    text
}

#[cfg(test)]
mod tests;
