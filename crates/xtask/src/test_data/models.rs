//! Models for the wrappers' own tests: each tool of the chain is run with a form as Galaxy would write it, and what it makes is kept.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Below the test data's directory.
pub const DIRECTORY: &str = "models";

/// One run of a tool: its form, and the outputs that are kept under new names.
struct Job {
    tool: &'static str,
    form: Value,
    keep: Vec<(&'static str, String)>,
}

/// Runs the tools and keeps what they make; returns how many files there are.
pub fn write(test_data: &Path, bin: Option<&Path>) -> Result<usize> {
    let bin = match bin {
        Some(bin) => bin.to_owned(),
        None => crate::cargo::build_tools()?,
    };
    let bin = fs::canonicalize(&bin).with_context(|| format!("no directory {}", bin.display()))?;
    let test_data = fs::canonicalize(test_data).with_context(|| format!("no directory {}", test_data.display()))?;
    let models = test_data.join(DIRECTORY);
    fs::create_dir_all(&models).with_context(|| format!("cannot make {}", models.display()))?;
    let not_a_model = "{\n  \"species\": \"Mus musculus\"\n}\n";
    fs::write(models.join("not_a_model.json"), not_a_model).context("cannot write not_a_model.json")?;
    let mut written = 1;
    for job in jobs(&test_data) {
        written += job.keep.len();
        run(&job, &bin, &models)?;
    }
    Ok(written)
}

fn run(job: &Job, bin: &Path, models: &Path) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let form = directory.path().join("inputs.json");
    fs::write(&form, job.form.to_string()).context("cannot write the form")?;
    let output = Command::new(bin.join(job.tool))
        .arg("--inputs")
        .arg(&form)
        .current_dir(directory.path())
        .output()
        .with_context(|| format!("cannot run {}", job.tool))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}",
            job.tool,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    for (made, name) in &job.keep {
        let made = directory.path().join(made);
        fs::copy(&made, models.join(name)).with_context(|| format!("{} made no {}", job.tool, made.display()))?;
    }
    Ok(())
}

/// A classifier and a regressor of four features, each from its layers to its weights.
fn jobs(test_data: &Path) -> Vec<Job> {
    let mut jobs = Vec::new();
    for model in ["classifier", "regressor"] {
        let path = |name: &str| {
            test_data
                .join(DIRECTORY)
                .join(format!("{model}{name}"))
                .display()
                .to_string()
        };
        jobs.push(Job {
            tool: "keras_model_config",
            form: config(model),
            keep: vec![("model.json", format!("{model}_config.json"))],
        });
        jobs.push(Job {
            tool: "keras_model_builder",
            form: builder(model, &path("_config.json")),
            keep: vec![("estimator.zip", format!("{model}.zip"))],
        });
        if model == "classifier" {
            // With the list of its parameters, for the test that changes some.
            let mut form = builder(model, &path("_config.json"));
            form["mode_selection"]["get_params"] = json!(true);
            jobs.push(Job {
                tool: "keras_model_builder",
                form,
                keep: vec![("params.tabular", format!("{model}_params.tabular"))],
            });
        }
        jobs.push(Job {
            tool: "keras_train_and_eval",
            form: training(model, &path(".zip"), &test_data.join("tables")),
            keep: vec![
                ("estimator.zip", format!("{model}_fitted.zip")),
                ("weights.h5", format!("{model}_weights.h5")),
            ],
        });
        if model == "classifier" {
            jobs.push(Job {
                tool: "keras_model_builder",
                form: newer_builder(&path("_config.json")),
                keep: vec![("estimator.h5mlm", format!("{model}.h5mlm"))],
            });
            jobs.push(Job {
                tool: "keras_train_and_eval",
                form: training(model, &path(".h5mlm"), &test_data.join("tables")),
                keep: vec![("estimator.h5mlm", format!("{model}_fitted.h5mlm"))],
            });
        }
    }
    jobs
}

fn config(model: &str) -> Value {
    let (units, activation, last) = if model == "classifier" {
        (8, "relu", "sigmoid")
    } else {
        (6, "tanh", "linear")
    };
    let dense = |units: u8, activation: &str| json!({"layer_selection": {"units": units, "activation": activation, "kwargs": "", "layer_type": "Dense"}});
    json!({"model_selection": {
        "input_shape": "(4, )",
        "layers": [dense(units, activation), dense(1, last)],
        "model_type": "sequential",
    }})
}

fn builder(model: &str, config: &str) -> Value {
    let (learning_type, loss, metrics) = if model == "classifier" {
        ("KerasGClassifier", "binary_crossentropy", "acc")
    } else {
        ("KerasGRegressor", "mean_squared_error", "mae")
    };
    json!({"mode_selection": {
        "infile_json": config,
        "learning_type": learning_type,
        "compile_params": {
            "loss": loss,
            "optimizer_selection": {
                "optimizer_options": {"lr": 0.01, "decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "amsgrad": false},
                "optimizer_type": "Adam",
            },
            "metrics": [metrics],
        },
        "fit_params": {
            "epochs": 30,
            "batch_size": 8,
            "steps_per_epoch": null,
            "validation_steps": null,
            "callbacks": [{"callback_selection": {"callback_type": "None"}}],
        },
        "random_seed": 42,
        "get_params": false,
        "mode_type": "train_model",
    }})
}

/// The classifier in the newer form, whose models are HDF5 files.
fn newer_builder(config: &str) -> Value {
    let mut form = builder("classifier", config);
    let mode = &mut form["mode_selection"];
    mode["compile_params"]["optimizer_selection"]["optimizer_options"] =
        json!({"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": false});
    mode["fit_params"]["validation_split"] = json!(0.1);
    mode["fit_params"]["verbose"] = json!(1);
    mode["estimator_format"] = json!("h5mlm");
    form
}

fn training(model: &str, estimator: &str, tables: &Path) -> Value {
    let table = |name: &str| tables.join(name).display().to_string();
    let (y, column) = if model == "classifier" {
        ("blobs_y.tsv", "label")
    } else {
        ("blobs.tsv", "dose")
    };
    json!({
        "experiment_schemes": {
            "infile_estimator": estimator,
            "hyperparams_swapping": {"infile_params": null, "param_set": [{"sp_name": null, "sp_value": ""}]},
            "test_split": {"split_algos": {"test_size": 0.2, "random_state": 7, "shuffle": "simple"}},
            "metrics": {"scoring": {"primary_scoring": "default"}},
            "selected_exp_scheme": "train_val",
        },
        "input_options": {
            "infile1": table("blobs_X.tsv"),
            "header1": true,
            "column_selector_options_1": {"selected_column_selector_option": "all_columns"},
            "infile2": table(y),
            "header2": true,
            "column_selector_options_2": {"selected_column_selector_option2": "by_header_name", "col2": column},
            "selected_input": "tabular",
        },
        "save": ["save_estimator"],
    })
}
