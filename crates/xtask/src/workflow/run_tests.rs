//! Two tiny tools, written as shell scripts, chained by a workflow.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

const CONFIG: &str = r#"<tool id="toy_config" profile="24.0"><macros><token name="@V@">1</token></macros>
  <command detect_errors="exit_code"><![CDATA[ toy_config --inputs '$inputs' ]]></command>
  <configfiles><inputs name="inputs" data_style="paths"/></configfiles>
  <inputs><section name="fit"><param name="epochs" type="integer" value="1"/></section>
    <param name="save" type="select" multiple="true"><option value="model" selected="true"/><option value="log"/></param></inputs>
  <outputs><data name="model" format="json" from_work_dir="model.json"><filter>'model' in save</filter></data>
    <data name="log" format="txt" from_work_dir="log.txt"><filter>'log' in save</filter></data></outputs></tool>"#;

const APPLY: &str = r#"<tool id="toy_apply" profile="24.0"><command>toy_apply --inputs '$inputs'</command>
  <configfiles><inputs name="inputs" data_style="paths"/></configfiles>
  <inputs><param name="model" type="data" format="json"/><param name="table" type="data" format="tabular"/></inputs>
  <outputs><data name="out" format="tabular" from_work_dir="out.tabular"/></outputs></tool>"#;

const CONFIG_SCRIPT: &str = "#!/bin/sh\ncp \"$2\" model.json\necho slots $GALAXY_SLOTS\n";
const APPLY_SCRIPT: &str = "#!/bin/sh\ncp \"$2\" out.tabular\n";

struct Toy {
    directory: tempfile::TempDir,
}

impl Toy {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let toy = Self { directory };
        for (place, text) in [
            ("tools/a/toy_config.xml", CONFIG),
            ("tools/b/toy_apply.xml", APPLY),
            ("data.tsv", "1\n"),
        ] {
            toy.write(place, text);
        }
        toy.script("toy_config", CONFIG_SCRIPT);
        toy.script("toy_apply", APPLY_SCRIPT);
        toy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn script(&self, name: &str, text: &str) {
        let place = format!("bin/{name}");
        self.write(&place, text);
        fs::set_permissions(self.path(&place), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, config_state: &Value, overrides: &[Override]) -> Result<Vec<JobReport>> {
        let workflow = json!({"a_galaxy_workflow": "true", "format-version": "0.1", "name": "toy", "steps": {
            "0": {"id": 0, "type": "data_input", "label": "table"},
            "1": {"id": 1, "type": "tool", "label": "Model: config", "tool_id": "toy_config", "tool_state": config_state.to_string()},
            "2": {"id": 2, "type": "tool", "label": "apply", "tool_id": "host/repos/me/toy_apply/toy_apply/1.0", "tool_state": "{}",
                  "input_connections": {"model": {"id": 1, "output_name": "model"}, "table": {"id": 0, "output_name": "output"}}},
        }});
        self.write("w.ga", &workflow.to_string());
        let runner = Runner::new(&self.path("tools"), &self.path("bin"), 3)?;
        let datasets = [("table".to_owned(), self.path("data.tsv"))].into();
        runner.run(&self.path("w.ga"), &datasets, &self.path("out"), overrides, &mut Silent)
    }

    fn error(&self, config_state: &Value) -> String {
        format!("{:#}", self.run(config_state, &[]).unwrap_err())
    }
}

struct Silent;
impl Observer for Silent {}

#[test]
fn outputs_of_one_step_are_the_inputs_of_the_next() {
    let toy = Toy::new();
    let reports = toy.run(&json!({"fit": {"epochs": "7"}}), &[]).unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].stdout, "slots 3\n");
    assert_eq!(reports[0].outputs.len(), 1, "the log was not asked for");
    let model = toy.path("out/1-model-config/model.json");
    assert_eq!(
        fs::read_to_string(&model).unwrap(),
        r#"{"fit":{"epochs":7},"save":["model"]}"#
    );
    let given: Value = serde_json::from_str(&fs::read_to_string(toy.path("out/2-apply/out.tabular")).unwrap()).unwrap();
    assert_eq!(given, json!({"model": model, "table": toy.path("data.tsv")}));
}

#[test]
fn overrides_win_over_the_workflow() {
    let toy = Toy::new();
    let epochs = Override {
        tool_id: "toy_config",
        path: &["fit", "epochs"],
        value: json!(2),
    };
    let reports = toy.run(&json!({"fit": {"epochs": "7"}}), &[epochs]).unwrap();
    assert_eq!(reports[0].params["fit"]["epochs"], 2);
    let unknown = Override {
        tool_id: "toy_config",
        path: &["fit", "seed"],
        value: json!(2),
    };
    assert!(format!("{:#}", toy.run(&json!({}), &[unknown]).unwrap_err()).contains("cannot set fit|seed"));
}

#[test]
fn outputs_of_an_earlier_run_do_not_linger() {
    let toy = Toy::new();
    toy.write("out/2-apply/old.txt", "old");
    toy.run(&json!({}), &[]).unwrap();
    assert!(!toy.path("out/2-apply/old.txt").exists());
}

#[test]
fn a_failed_job_names_its_step_and_quotes_its_last_word() {
    let toy = Toy::new();
    toy.script("toy_config", "#!/bin/sh\necho 'error: no such layer' >&2\nexit 2\n");
    let error = toy.error(&json!({}));
    assert!(
        error.contains("step 1 (Model: config)") && error.contains("error: no such layer"),
        "{error}"
    );
}

#[test]
fn an_output_that_is_missing_is_an_error() {
    let toy = Toy::new();
    let error = toy.error(&json!({"save": ["model", "log"]}));
    assert!(error.contains("output \"log\" is missing"), "{error}");
}

#[test]
fn a_step_cannot_take_an_output_that_was_filtered_away() {
    let toy = Toy::new();
    toy.script("toy_config", "#!/bin/sh\ntouch log.txt\n");
    let error = toy.error(&json!({"save": ["log"]}));
    assert!(
        error.contains("step 2 (apply): input model takes output \"model\" of step 1"),
        "{error}"
    );
}

#[test]
fn tools_without_wrapper_or_binary_are_named() {
    let toy = Toy::new();
    fs::remove_file(toy.path("bin/toy_apply")).unwrap();
    assert!(toy.error(&json!({})).contains("the command wants toy_apply"));
    fs::remove_file(toy.path("tools/b/toy_apply.xml")).unwrap();
    assert!(toy.error(&json!({})).contains("no wrapper for the tool \"toy_apply\""));
}
