//! One tutorial from its data to its accuracy.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::catalogue::Tutorial;
use super::evaluation::Evaluation;
use crate::repository;
use crate::workflow::{JobReport, Line, Observer, Override, Runner};

/// What may differ from the workflow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    pub seed: Option<u64>,
    pub epochs: Option<u64>,
}

impl Changes {
    fn overrides(self) -> Vec<Override> {
        let set = |tool_id, path, value: u64| Override {
            tool_id,
            path,
            value: json!(value),
        };
        let mut overrides = Vec::new();
        if let Some(seed) = self.seed {
            overrides.push(set("keras_model_builder", &["mode_selection", "random_seed"], seed));
            overrides.push(set(
                "keras_train_and_eval",
                &["experiment_schemes", "test_split", "split_algos", "random_state"],
                seed,
            ));
        }
        if let Some(epochs) = self.epochs {
            overrides.push(set(
                "keras_model_builder",
                &["mode_selection", "fit_params", "epochs"],
                epochs,
            ));
        }
        overrides
    }
}

/// A tutorial that ran to its end.
#[derive(Debug)]
pub struct Outcome {
    pub jobs: Vec<JobReport>,
    pub evaluation: Evaluation,
}

impl Outcome {
    /// Wall time of all steps.
    pub fn seconds(&self) -> f64 {
        self.jobs.iter().map(|job| job.seconds).sum()
    }

    /// The largest of the steps' peaks, if the system tells.
    pub fn peak_mb(&self) -> Option<f64> {
        self.jobs.iter().filter_map(|job| job.peak_mb).reduce(f64::max)
    }

    /// The job of a tool.
    pub fn job(&self, tool_id: &str) -> Option<&JobReport> {
        self.jobs.iter().find(|job| job.tool_id == tool_id)
    }
}

/// The runner for this repository's wrappers.
pub fn runner(binaries: &Path) -> Result<Runner> {
    let root = repository::root();
    Runner::new(&root.join("galaxy-tools"), binaries, repository::slots())?
        .with_published(&root.join("published/tools.txt"))
}

/// Runs the tutorial's workflow. With `log`, the training step's lines are printed as they come.
pub fn run(
    runner: &Runner,
    tutorial: &Tutorial,
    data: &Path,
    out: &Path,
    changes: Changes,
    log: bool,
) -> Result<Outcome> {
    let workflow = repository::root().join("workflows").join(tutorial.workflow);
    let mut observer = Log { on: log };
    let jobs = runner.run(
        &workflow,
        &tutorial.files(data),
        out,
        &changes.overrides(),
        &mut observer,
    )?;
    let evaluation = evaluate(&jobs)?;
    Ok(Outcome { jobs, evaluation })
}

/// Reads the tables that the confusion matrix was drawn from, as its step's parameters name them.
fn evaluate(jobs: &[JobReport]) -> Result<Evaluation> {
    let plot = jobs
        .iter()
        .find(|job| job.tool_id == "ml_visualization_ex")
        .context("the workflow has no ml_visualization_ex step, so there is nothing to evaluate")?;
    let selection = &plot.params["plotting_selection"];
    let path = |key: &str| {
        selection[key]
            .as_str()
            .map(PathBuf::from)
            .with_context(|| format!("the plot step has no {key}"))
    };
    let header = |key: &str| selection[key] == Value::Bool(true);
    Evaluation::of_files(
        &path("infile_true")?,
        header("header_true"),
        &path("infile_predicted")?,
        header("header_predicted"),
    )
}

/// Prints what the training step says while it says it: the epochs.
struct Log {
    on: bool,
}

impl Observer for Log {
    fn started(&mut self, label: &str) {
        if self.on {
            println!("-- {label}");
        }
    }

    fn line(&mut self, tool_id: &str, line: &Line) {
        match line {
            Line::Stdout(text) if self.on && tool_id == "keras_train_and_eval" => println!("   {text}"),
            Line::Stderr(text) => eprintln!("   {text}"),
            Line::Stdout(_) => {}
        }
        // Piped output would otherwise hold an epoch's line back until the next.
        let _ = std::io::stdout().flush();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::catalogue::TUTORIALS;
    use super::*;

    /// Tools that write what they should, without learning anything; the prediction is the test table's truth.
    const TOOLS: [(&str, &str); 5] = [
        ("keras_model_config", "touch model.json"),
        ("keras_model_builder", "touch estimator.zip"),
        (
            "keras_train_and_eval",
            "echo 'epoch 1/1'; touch result.tabular estimator.zip weights.h5",
        ),
        (
            "model_prediction",
            "(echo predicted; cat \"$TRUTH\") > predictions.tabular",
        ),
        ("ml_visualization_ex", "touch output"),
    ];

    #[test]
    fn the_workflows_fit_the_wrappers_and_are_evaluated_from_their_own_tables() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        fs::create_dir(place("bin")).unwrap();
        for tutorial in &TUTORIALS {
            let name = if tutorial.header { "y\n" } else { "" };
            fs::create_dir_all(place(tutorial.data)).unwrap();
            for file in tutorial.files(directory.path()).values() {
                fs::write(file, format!("{name}0\n1\n1\n")).unwrap();
            }
            fs::write(place("truth"), "0\n1\n0\n").unwrap();
            for (tool, script) in TOOLS {
                let binary = place("bin").join(tool);
                let script = script.replace("$TRUTH", place("truth").to_str().unwrap());
                fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
                fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let runner = runner(&place("bin")).unwrap();
            let changes = Changes {
                seed: Some(7),
                epochs: Some(3),
            };
            let outcome = run(&runner, tutorial, directory.path(), &place("out"), changes, false).unwrap();
            assert_eq!(outcome.jobs.len(), 5);
            assert_eq!((outcome.evaluation.right(), outcome.evaluation.total()), (2, 3));
            let params = |tool: &str| &outcome.job(tool).unwrap().params;
            assert_eq!(
                params("keras_model_builder")["mode_selection"]["fit_params"]["epochs"],
                3
            );
            assert_eq!(params("keras_model_builder")["mode_selection"]["random_seed"], 7);
            assert_eq!(
                params("keras_train_and_eval")["experiment_schemes"]["test_split"]["split_algos"]["random_state"],
                7
            );
            let weights = params("model_prediction")["infile_weights"].as_str().unwrap();
            assert!(weights.ends_with("/weights.h5"), "{weights}");
            assert_eq!(outcome.job("ml_visualization_ex").unwrap().outputs[0].format, "png");
        }
    }
}
