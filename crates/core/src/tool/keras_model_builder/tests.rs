//! Tests of the builder as its binary is used: a JSON file in, output files out.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::keras::estimator::Estimator;
use crate::keras::loss::Loss;

/// A working directory with the files that a job is given.
struct Job {
    dir: TempDir,
}

impl Job {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The model of a golden case, as a file.
    fn golden_model(&self, case: &str) -> String {
        let case: Value = serde_json::from_slice(&fs::read(golden(&format!("{case}.json"))).unwrap()).unwrap();
        self.file("model.json", case["model"].to_string())
    }

    fn run(&self, form: &Value) -> Result<String> {
        self.file("inputs.json", form.to_string());
        fs::create_dir_all(self.path("out")).unwrap();
        run(&self.path("inputs.json"), &self.path("out"))
    }

    fn outputs(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn estimator(&self) -> (Estimator, Option<Vec<u8>>) {
        Estimator::from_zip(&fs::read(self.path("out/estimator.zip")).unwrap()).unwrap()
    }

    /// The message of a run that must fail as the input's fault and leave nothing behind.
    fn complaint(&self, form: &Value) -> String {
        let error = self.run(form).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(self.outputs(), Vec::<String>::new());
        let message = error.to_string();
        assert!(!message.contains('\n'), "{message}");
        message.replace(self.dir.path().to_str().unwrap(), "")
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/keras-2.15")
        .join(name)
}

/// The form as Galaxy writes it for the older tool, in the older shape of multi-selects.
fn older_form(model: &str) -> Value {
    json!({
        "mode_selection": {
            "infile_json": model,
            "learning_type": "KerasGClassifier",
            "compile_params": {
                "loss": "binary_crossentropy",
                "optimizer_selection": {
                    "optimizer_options": {"lr": 0.001, "decay": 0.0, "rho": 0.9},
                    "optimizer_type": "RMSprop"
                },
                "metrics": "acc"
            },
            "fit_params": {
                "epochs": 10, "batch_size": 4, "steps_per_epoch": null, "validation_steps": null,
                "callbacks": [{"callback_selection": {"callback_type": "None"}}]
            },
            "random_seed": null,
            "get_params": false,
            "mode_type": "train_model"
        },
        "__job_resource": {"__job_resource__select": "no"}
    })
}

#[test]
fn the_tutorials_form_gives_an_estimator_to_be_trained() {
    let job = Job::new();
    let summary = job.run(&older_form(&job.golden_model("intro_like"))).unwrap();
    assert_eq!(job.outputs(), ["estimator.zip"]);
    let (estimator, weights) = job.estimator();
    assert_eq!((weights, &estimator.fitted), (None, &None));
    assert_eq!(estimator.learning_type, LearningType::KerasGClassifier);
    assert_eq!(
        estimator.model["config"]["layers"][0]["config"]["batch_input_shape"],
        json!([null, 12])
    );
    let compile = estimator.compile.unwrap();
    assert_eq!(
        (compile.loss, compile.optimizer.name()),
        (Loss::BinaryCrossentropy, "RMSprop")
    );
    assert_eq!(compile.metrics[0].name(), "acc");
    let fit = estimator.fit.unwrap();
    assert_eq!(
        (fit.epochs, fit.batch_size, fit.callbacks.len(), fit.random_seed),
        (10, 4, 0, None)
    );
    assert_eq!(
        summary,
        "KerasGClassifier: 3 layers, 77 parameters, input (12,), output (1,)\nloss: binary_crossentropy\n\
         optimizer: RMSprop, learning rate 0.001\nmetrics: acc\nfit: 10 epochs, batches of 4\n"
    );
}

#[test]
fn the_newer_form_is_understood() {
    let job = Job::new();
    let mut form = older_form(&job.golden_model("intro_like"));
    let mode = &mut form["mode_selection"];
    mode.as_object_mut().unwrap().remove("get_params");
    mode["learning_type"] = json!("KerasGRegressor");
    mode["random_seed"] = json!(42);
    mode["compile_params"] = json!({
        "loss": "mean_squared_error",
        "optimizer_selection": {"optimizer_options": {"learning_rate": null, "epsilon": 1e-8}, "optimizer_type": "Adamax"},
        "metrics": ["mse", "mape"]
    });
    mode["fit_params"] = json!({
        "epochs": 2, "batch_size": null, "steps_per_epoch": null, "validation_split": 0.1, "validation_steps": null,
        "callbacks": [
            {"callback_selection": {"callback_type": "CSVLogger"}},
            {"callback_selection": {"monitor": "loss", "patience": 2, "callback_type": "EarlyStopping"}}
        ],
        "verbose": 1
    });
    mode["estimator_format"] = json!("h5mlm");
    let summary = job.run(&form).unwrap();
    assert_eq!(job.outputs(), ["estimator.h5mlm"]);
    let (estimator, _, _) = Estimator::unpack(&fs::read(job.path("out/estimator.h5mlm")).unwrap()).unwrap();
    let fit = estimator.fit.unwrap();
    assert_eq!(
        (fit.batch_size, fit.validation_split, fit.random_seed, fit.verbose),
        (32, Some(0.1), Some(42), Some(1))
    );
    assert_eq!(
        fit.callbacks.iter().map(Callback::name).collect::<Vec<_>>(),
        ["CSVLogger", "EarlyStopping"]
    );
    assert_eq!(
        estimator.compile.unwrap().optimizer.learning_rate.to_bits(),
        0.001_f64.to_bits()
    );
    assert!(
        summary.ends_with("metrics: mse, mape\nfit: 2 epochs, batches of 32; callbacks: CSVLogger, EarlyStopping\n")
    );
}

#[test]
fn the_same_form_gives_the_same_bytes() {
    let (one, two) = (Job::new(), Job::new());
    for job in [&one, &two] {
        job.run(&older_form(&job.golden_model("cnn_like"))).unwrap();
    }
    assert_eq!(
        fs::read(one.path("out/estimator.zip")).unwrap(),
        fs::read(two.path("out/estimator.zip")).unwrap()
    );
}

#[test]
fn parameters_are_listed_with_marks_by_depth_and_name() {
    let job = Job::new();
    let mut form = older_form(&job.golden_model("intro_like"));
    form["mode_selection"]["get_params"] = json!(true);
    job.run(&form).unwrap();
    assert_eq!(job.outputs(), ["estimator.zip", "params.tabular"]);
    let table = fs::read_to_string(job.path("out/params.tabular")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "\tParameter\tValue");
    assert_eq!(lines[1], "@\tamsgrad\tamsgrad: None");
    assert_eq!(lines[2], "@\tbatch_size\tbatch_size: 4");
    assert_eq!(
        lines[5],
        "@\tcallbacks\tcallbacks: [{'callback_selection': {'callback_type': 'None'}}]"
    );
    for line in [
        "@\tlr\tlr: 0.001",
        "@\toptimizer\toptimizer: 'rmsprop'",
        "@\tmetrics\tmetrics: ['acc']",
        "@\tmomentum\tmomentum: None",
        "@\tverbose\tverbose: 0",
        "*\tlayers_0_Dense__class_name\tlayers_0_Dense__class_name: 'Dense'",
        "*\tlayers_1_Dense__config__name\tlayers_1_Dense__config__name: 'dense_2'",
        "@\tlayers_2_Dense__config__kernel_initializer__config__seed\t\
         layers_2_Dense__config__kernel_initializer__config__seed: None",
        "@\tlayers_0_Dense__config__batch_input_shape\tlayers_0_Dense__config__batch_input_shape: [None, 12]",
    ] {
        assert!(lines.contains(&line), "{line}\n{table}");
    }
    assert!(lines.last().unwrap().starts_with("\tNote:\t@"));
    // 22 of the estimator; for each dense layer itself, its class, its configuration of 13 entries, and its initialisers' 8; one
    // input shape; header and note.
    assert_eq!(lines.len(), 22 + 3 * (3 + 13 + 8) + 1 + 2);
    let config = lines.iter().find(|line| line.starts_with("@\tconfig\t")).unwrap();
    assert_eq!(config.len(), "@\tconfig\tconfig: ".len() + 100);
    let paths: Vec<&str> = lines[1..lines.len() - 1]
        .iter()
        .map(|line| line.split('\t').nth(1).unwrap())
        .collect();
    let mut sorted = paths.clone();
    sorted.sort_by_key(|path| ((path.matches("__").count()).min(2), *path));
    assert_eq!(paths, sorted);
}

#[test]
fn a_prefitted_model_takes_its_weights_along() {
    let job = Job::new();
    let model = job.golden_model("lstm");
    let form = json!({"mode_selection": {"infile_json": model, "infile_weights": golden("lstm.h5"), "mode_type": "prefitted"}});
    job.run(&form).unwrap();
    let (estimator, archived) = job.estimator();
    assert_eq!(
        (estimator.learning_type, estimator.compile, estimator.fit),
        (LearningType::Prefitted, None, None)
    );
    let layers = weights::read(archived.unwrap()).unwrap();
    let original = weights::read(fs::read(golden("lstm.h5")).unwrap()).unwrap();
    assert_eq!(layers[0].weights.len(), 3);
    for (ours, keras) in layers[0].weights.iter().zip(&original[0].weights) {
        assert_eq!((&ours.shape, &ours.values), (&keras.shape, &keras.values));
    }
    assert_eq!(layers[0].weights[1].name, "lstm_1/recurrent_kernel:0");
}

#[test]
fn weights_of_another_model_are_refused_with_file_and_layer() {
    let job = Job::new();
    let model = job.golden_model("lstm");
    let form =
        json!({"mode_selection": {"infile_json": model, "infile_weights": golden("gru.h5"), "mode_type": "prefitted"}});
    let message = job.complaint(&form);
    assert!(
        message.ends_with(
            "gru.h5: these are weights for another model: layer 1 'lstm_1' needs a weight of shape (2, 12), the file's \
             'gru_1/gru_cell/kernel:0' of layer 'gru_1' has (2, 9)"
        ),
        "{message}"
    );
}

#[test]
fn files_that_are_no_model_configuration_are_refused_with_their_name() {
    let job = Job::new();
    let complaint = |content: &[u8]| job.complaint(&older_form(&job.file("data", content)));
    assert!(complaint(b"").starts_with("/data: this is an empty file, not a model configuration; give the JSON"));
    assert!(complaint(b"\x80\x04\x95 a pickle").starts_with("/data: this is a Python pickle"));
    assert!(complaint(b"a\tb\n").starts_with("/data: not a model configuration: it is not valid JSON"));
    assert!(complaint(b"{\"class_name\": \"Sequential\"").contains("EOF"));
    assert!(complaint(b"{\"a\": 1}").starts_with("/data: not a Keras model configuration"));
    assert!(
        job.complaint(&older_form("/nowhere/model.json"))
            .starts_with("cannot read /nowhere/model.json")
    );
    assert!(
        job.complaint(&older_form("None"))
            .contains("no dataset is given for 'infile_json'")
    );
}

#[test]
fn a_loss_that_cannot_teach_the_model_is_refused() {
    let job = Job::new();
    let mut form = older_form(&job.golden_model("intro_like"));
    form["mode_selection"]["compile_params"]["loss"] = json!("categorical_crossentropy");
    assert!(job.complaint(&form).contains("use binary_crossentropy"));
}

#[test]
fn names_and_values_that_keras_does_not_know_are_refused() {
    let job = Job::new();
    let model = job.golden_model("intro_like");
    let complaint = |place: &str, value: Value| {
        let mut form = older_form(&model);
        *form.pointer_mut(&format!("/mode_selection/{place}")).unwrap() = value;
        job.complaint(&form)
    };
    assert_eq!(
        complaint("compile_params/loss", json!("binary_crosentropy")),
        "unknown loss 'binary_crosentropy'; did you mean 'binary_crossentropy'?"
    );
    assert!(complaint("compile_params/metrics", json!(["acc", "aucc"])).starts_with("unknown metric 'aucc'"));
    assert!(
        complaint("compile_params/optimizer_selection/optimizer_type", json!("RMSprob"))
            .contains("did you mean 'RMSprop'")
    );
    assert!(
        complaint("fit_params/epochs", json!(0)).contains("epochs is 0, but it must be a whole number of at least 1")
    );
    assert!(complaint("fit_params/batch_size", json!(-4)).contains("batch_size is -4"));
    assert!(complaint("learning_type", json!("KerasGClasifier")).contains("did you mean 'KerasGClassifier'"));
    assert!(complaint("mode_type", json!("trained")).contains("trained"));
}

#[test]
fn a_missing_output_directory_is_not_the_inputs_fault() {
    let job = Job::new();
    let form = older_form(&job.golden_model("intro_like"));
    job.file("inputs.json", form.to_string());
    let error = run(&job.path("inputs.json"), &job.path("absent")).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("estimator.zip"), "{error}");
}
