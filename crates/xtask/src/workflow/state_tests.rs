use std::path::Path;

use serde_json::{Value, json};

use super::super::wrapper;
use super::*;

const FORM: &str = r#"
  <conditional name="mode">
    <param name="kind" type="select"><option value="train" selected="true"/><option value="fitted"/></param>
    <when value="train">
      <param name="infile" type="data" format="json"/>
      <section name="fit"><param name="epochs" type="integer" value="1" min="1"/><param name="steps" type="integer" optional="true"/></section>
      <repeat name="layers" min="1" max="2">
        <conditional name="layer"><param name="type" type="select"><option value="Dense"/></param>
          <when value="Dense"><param name="units" type="integer" value="8"/><param name="kwargs" type="text" value=""/></when>
        </conditional>
      </repeat>
    </when>
    <when value="fitted"/>
  </conditional>
  <param name="lr" type="float" value="0.001" optional="true"/>
  <param name="header" type="boolean" truevalue="booltrue" falsevalue="boolfalse" checked="false"/>
  <param name="metrics" type="select" multiple="true"><option value="acc" selected="true"/><option value="mse"/></param>
  <param name="columns" type="data_column" data_ref="infile" multiple="true" optional="true"/>
  <param name="extra" type="data" format="h5" optional="true"/>
  <param name="plot_format" type="hidden" value="png"/>"#;

fn form() -> Vec<Input> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.xml");
    let text = format!(
        r#"<tool id="t" profile="24.0"><command>t</command>
           <configfiles><inputs name="inputs" data_style="paths"/></configfiles><inputs>{FORM}</inputs></tool>"#
    );
    std::fs::write(&path, text).unwrap();
    wrapper::read(&path).unwrap().inputs
}

fn connected() -> Connected {
    [("mode|infile".to_owned(), Path::new("/d/model.json").to_owned())].into()
}

fn type_state(state: &Value) -> Result<Value> {
    typed(&form(), state.as_object().unwrap(), &connected())
}

fn error(state: &Value) -> String {
    format!("{:#}", type_state(state).unwrap_err())
}

#[test]
fn an_empty_state_gives_the_forms_defaults_in_the_forms_order() {
    let expected = r#"{"mode":{"infile":"/d/model.json","fit":{"epochs":1,"steps":null},"layers":[{"layer":{"units":8,"kwargs":"","type":"Dense"}}],"kind":"train"},"lr":0.001,"header":false,"metrics":["acc"],"columns":null,"extra":null,"plot_format":"png"}"#;
    assert_eq!(type_state(&json!({})).unwrap().to_string(), expected);
}

#[test]
fn saved_texts_are_typed_by_the_form() {
    let state = json!({
        "mode": {"kind": "train", "__current_case__": 0, "infile": {"__class__": "ConnectedValue"},
                 "fit": {"epochs": "10", "steps": ""},
                 "layers": [{"__index__": 0, "layer": {"type": "Dense", "units": "16", "kwargs": "padding='same'"}}]},
        "lr": "1e-7", "header": "booltrue", "metrics": "acc,mse", "columns": ["2", "3"], "extra": {"__class__": "RuntimeValue"},
    });
    let typed = type_state(&state).unwrap();
    assert_eq!(typed["mode"]["fit"], json!({"epochs": 10, "steps": null}));
    assert_eq!(typed["mode"]["layers"][0]["layer"]["units"], 16);
    assert_eq!(
        typed["mode"]["layers"][0]["layer"]["kwargs"],
        "padding=__sq__same__sq__"
    );
    assert_eq!(typed["lr"], 1e-7);
    assert_eq!(typed["header"], true);
    assert_eq!(typed["metrics"], json!(["acc", "mse"]));
    assert_eq!(typed["columns"], json!([2, 3]));
    assert_eq!(typed["extra"], Value::Null);
}

#[test]
fn groups_saved_as_json_in_json_read_the_same() {
    let nested = json!({"mode": r#"{"kind": "train", "layers": "[{\"layer\": \"{\\\"units\\\": \\\"4\\\"}\"}]"}"#});
    assert_eq!(type_state(&nested).unwrap()["mode"]["layers"][0]["layer"]["units"], 4);
}

#[test]
fn columns_come_as_lists_also_when_one_is_chosen() {
    for saved in [json!("4"), json!(4), json!(["4"]), json!([4])] {
        assert_eq!(type_state(&json!({"columns": saved})).unwrap()["columns"], json!([4]));
    }
}

#[test]
fn an_emptied_multi_select_is_null() {
    for saved in [json!(null), json!([]), json!("None")] {
        assert_eq!(type_state(&json!({"metrics": saved})).unwrap()["metrics"], Value::Null);
    }
}

#[test]
fn errors_name_the_parameter() {
    assert!(
        error(&json!({"mode": {"fit": {"epochs": "many"}}}))
            .contains("parameter mode|fit|epochs: \"many\" is not an integer")
    );
    assert!(error(&json!({"mode": {"fit": {"epochs": "0"}}})).contains("below the form's smallest, 1"));
    assert!(error(&json!({"mode": {"fit": {"epochs": ""}}})).contains("wants a value"));
    assert!(error(&json!({"mode": {"kind": "other"}})).contains("none of the form's options: train, fitted"));
    assert!(error(&json!({"header": "perhaps"})).contains("neither true nor false"));
    assert!(
        error(&json!({"lr": {"__class__": "RuntimeValue"}}))
            .contains("parameter lr: its value comes when the workflow runs")
    );
    assert!(error(&json!({"mode": {"layers": [{}, {}, {}]}})).contains("mode|layers has 3 entries"));
    assert!(error(&json!({"mode": {"epoch": 3}})).contains("mode|epoch, which the wrapper's form does not have"));
    assert!(error(&json!({"columns": "0"})).contains("count from 1"));
}

#[test]
fn connections_must_fit_the_form() {
    let state = serde_json::Map::new();
    let none = typed(&form(), &state, &Connected::new()).unwrap_err();
    assert!(format!("{none:#}").contains("parameter mode|infile: no dataset is connected"));
    let mut stray = connected();
    stray.insert("lr".into(), "/d/x".into());
    assert!(
        typed(&form(), &state, &stray)
            .unwrap_err()
            .to_string()
            .contains("connection to lr")
    );
}
