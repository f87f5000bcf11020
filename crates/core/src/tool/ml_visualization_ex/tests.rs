use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::plot::canvas::Rgb;

/// A job's directory with the datasets and the inputs JSON of the tutorials' last step.
struct Job {
    dir: TempDir,
    form: Value,
}

impl Job {
    fn new(truth: &str, predicted: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("y_test.tsv"), truth).unwrap();
        fs::write(dir.path().join("predicted.tsv"), predicted).unwrap();
        let form = json!({
            "infile_true": dir.path().join("y_test.tsv"),
            "header_true": false,
            "column_selector_options_true": {"selected_column_selector_option": "all_columns"},
            "infile_predicted": dir.path().join("predicted.tsv"),
            "header_predicted": true,
            "title": "Confusion matrix between true and predicted labels",
            "plot_format": "png",
            "plot_color": "Greens",
            "plot_type": "classification_confusion_matrix",
        });
        Self { dir, form }
    }

    fn with(mut self, parameter: &str, value: impl Into<Value>) -> Self {
        self.form[parameter] = value.into();
        self
    }

    fn run(&self) -> Result<String> {
        let inputs = self.dir.path().join("inputs.json");
        fs::write(
            &inputs,
            json!({"plotting_selection": self.form, "__job_resource": {}}).to_string(),
        )
        .unwrap();
        let mut report = Vec::new();
        run(&inputs, self.dir.path(), &mut report)?;
        Ok(String::from_utf8(report).unwrap())
    }

    /// The picture's colours of four pixels: near the corners of a 2 x 2 matrix with one-digit labels.
    fn corners(&self) -> [Rgb; 4] {
        let png = fs::read(self.dir.path().join(OUTPUT)).unwrap();
        let image = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (875, 875));
        [(200, 200), (600, 200), (200, 700), (600, 700)].map(|(column, row)| image.get_pixel(column, row).0)
    }

    /// The message of a run that must fail through the user's fault, which leaves no file behind.
    fn fault(&self) -> String {
        let before = self.files();
        let error = self.run().unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(self.files(), before, "{error}");
        let dir = self.dir.path().display().to_string();
        error.in_one_line().replace(&format!("{dir}/"), "")
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.filter(|name| name != "inputs.json").collect();
        files.sort();
        files
    }
}

#[test]
fn the_tutorials_last_step() {
    let job = Job::new("0\n0\n1\n1\n1\n", "0\n0\n1\n1\n1\n0\n");
    insta::assert_snapshot!(job.run().unwrap(), @r"
    accuracy 0.6000 (3 of 5)
    class  precision  recall      f1  samples
    0         0.5000  0.5000  0.5000        2
    1         0.6667  0.6667  0.6667        3
    ");
    assert_eq!(job.files(), ["output", "predicted.tsv", "y_test.tsv"]);
    let map = ColorMap::Greens;
    // Counts [1, 1; 1, 2]: the scale runs from 1 to 2.
    assert_eq!(
        job.corners(),
        [map.color(0.0), map.color(0.0), map.color(0.0), map.color(1.0)]
    );
}

#[test]
fn every_colour_of_the_form_is_drawn() {
    let colors = "Greys Purples Blues Greens Oranges Reds Summer Autumn RdYlGn Spectral winter";
    let mut drawn: Vec<Rgb> = Vec::new();
    for color in colors.split(' ') {
        let job = Job::new("0\n1\n1\n", "p\n0\n1\n1\n").with("plot_color", color);
        job.run().unwrap();
        let [_, low, _, high] = job.corners();
        assert_ne!(low, high, "{color}");
        drawn.push(high);
    }
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 11, "all differ");
    let message = Job::new("0\n", "p\n0\n").with("plot_color", "Pinks").fault();
    assert!(message.contains("Pinks") && message.contains("Spectral"), "{message}");
}

#[test]
fn the_last_chosen_column_is_the_true_label() {
    let job = Job::new("id\tlabel\textra\ns1\ta\tx\ns2\tb\tx\n", "Predicted\na\na\n")
        .with("header_true", true)
        .with(
            "column_selector_options_true",
            json!({"col1": [1, 2], "selected_column_selector_option": "by_index_number"}),
        );
    let report = job.run().unwrap();
    assert!(
        report.contains("2 columns of") && report.contains("the last one is taken as the true labels"),
        "{report}"
    );
    assert!(report.contains("accuracy 0.5000 (1 of 2)"), "{report}");
}

#[test]
fn one_hot_columns_are_compared_with_class_numbers() {
    let job = Job::new("0\t1\t0\n1\t0\t0\n0\t0\t1\n", "0\n1\n0\n2\n");
    let report = job.run().unwrap();
    assert!(report.contains("are one-hot: read as classes 0 to 2"), "{report}");
    assert!(report.contains("accuracy 1.0000 (3 of 3)"), "{report}");

    let binary = Job::new("1\t0\n0\t1\n", "0\n0\n1\n");
    assert!(binary.run().unwrap().contains("accuracy 1.0000 (2 of 2)"));
}

#[test]
fn strange_labels_are_only_a_warning() {
    let report = Job::new("AML\nALL\n", "0\n1\n0\n").run().unwrap();
    assert!(report.starts_with("warning: no label of "), "{report}");
    assert!(report.contains("accuracy 0.0000 (0 of 2)"), "{report}");
}

#[test]
fn a_title_is_unescaped_and_may_be_empty() {
    let png = |title: &str| {
        let job = Job::new("0\n1\n", "p\n0\n1\n").with("title", title);
        job.run().unwrap();
        fs::read(job.dir.path().join(OUTPUT)).unwrap()
    };
    assert_eq!(png("It__sq__s __ob__mine__cb__"), png("It's [mine]"));
    assert_ne!(png(""), png("It's"));
}

#[test]
fn a_missing_title_is_the_forms_default() {
    let mut job = Job::new("0\n1\n", "p\n0\n1\n");
    job.run().unwrap();
    let given = fs::read(job.dir.path().join(OUTPUT)).unwrap();
    job.form.as_object_mut().unwrap().remove("title");
    job.run().unwrap();
    assert_eq!(fs::read(job.dir.path().join(OUTPUT)).unwrap(), given);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let job = Job::new("0\n1\n", "p\n0\n1\n");
    let [first, second] = [(); 2].map(|()| {
        job.run().unwrap();
        fs::read(job.dir.path().join(OUTPUT)).unwrap()
    });
    assert_eq!(first, second);
}

#[test]
fn other_plots_are_refused_by_name() {
    for plot in [
        "learning_curve",
        "pr_curve",
        "roc_curve",
        "rfecv_gridscores",
        "feature_importances",
        "keras_plot_model",
    ] {
        let message = Job::new("0\n", "p\n0\n").with("plot_type", plot).fault();
        assert_eq!(
            message,
            format!("the plot type '{plot}' is not supported yet: choose 'classification_confusion_matrix'")
        );
    }
    let message = Job::new("0\n", "p\n0\n").with("plot_type", "pie").fault();
    assert!(
        message.contains("pie") && message.contains("classification_confusion_matrix"),
        "{message}"
    );
}

#[test]
fn other_formats_are_refused() {
    let message = Job::new("0\n", "p\n0\n").with("plot_format", "svg").fault();
    assert!(message.contains("svg") && message.contains("png"), "{message}");
}

#[test]
fn a_forgotten_header_is_named() {
    let message = Job::new("0\n1\n", "0\n0\n1\n").with("header_predicted", false).fault();
    assert_eq!(
        message,
        "y_test.tsv holds 2 labels and predicted.tsv holds 3 predictions: is the first row of predicted.tsv ('0') a header? set its \
         'Does the dataset contain header' to Yes"
    );
}

#[test]
fn text_above_numbers_is_taken_for_a_forgotten_header() {
    let message = Job::new("disease\n0\n1\n", "p\n0\n1\n1\n").fault();
    assert!(
        message.contains("row 1, column 1 holds text ('disease'): is it a header?"),
        "{message}"
    );
}

#[test]
fn a_missing_label_is_named_by_its_line_in_the_file() {
    let message = Job::new("0\t0\n\n1\t\n", "p\n0\n1\n").fault();
    assert!(
        message.starts_with("y_test.tsv, row 3: the label is missing"),
        "{message}"
    );
}

#[test]
fn a_header_of_numbers_is_only_a_warning() {
    let report = Job::new("7\n0\n1\n", "p\n0\n1\n")
        .with("header_true", true)
        .run()
        .unwrap();
    assert!(
        report.starts_with("warning: ") && report.contains("the header holds only numbers ('7')"),
        "{report}"
    );
}

#[test]
fn a_column_that_does_not_exist_is_named() {
    let columns = json!({"col1": [3], "selected_column_selector_option": "by_index_number"});
    let message = Job::new("0\n1\n", "p\n0\n1\n")
        .with("column_selector_options_true", columns)
        .fault();
    assert!(message.contains("no column 3"), "{message}");
}

#[test]
fn a_missing_dataset_is_named() {
    let message = Job::new("0\n", "p\n0\n").with("infile_predicted", Value::Null).fault();
    assert!(message.contains("infile_predicted"), "{message}");
    let message = Job::new("0\n", "p\n0\n").with("infile_true", "nowhere.tsv").fault();
    assert!(message.contains("nowhere.tsv"), "{message}");
}

#[test]
fn an_output_that_cannot_be_written_is_no_fault_of_the_form() {
    let job = Job::new("0\n", "p\n0\n");
    job.run().unwrap();
    let error = run(
        &job.dir.path().join("inputs.json"),
        &job.dir.path().join("nowhere"),
        &mut Vec::new(),
    )
    .unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.in_one_line().contains("nowhere"), "{error}");
}
