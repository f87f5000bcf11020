//! Reading a `.ga` file: Galaxy's own workflow format.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// A workflow: its steps in the order in which they can run.
#[derive(Debug)]
pub struct Workflow {
    pub name: String,
    pub steps: Vec<Step>,
}

/// One step: a dataset that the user gives, or a tool.
#[derive(Debug)]
pub struct Step {
    pub id: u64,
    pub label: String,
    pub kind: StepKind,
}

#[derive(Debug)]
pub enum StepKind {
    /// A dataset from outside, found by the step's label.
    DataInput,
    /// A job.
    Tool {
        /// The short id: `keras_model_config`, also of a Tool Shed id.
        tool_id: String,
        /// The Tool Shed id with its version, when the step names its tool by one.
        shed_id: Option<String>,
        /// The decoded `tool_state`.
        state: Map<String, Value>,
        /// Input path (`mode_selection|infile_json`) to the output it takes.
        connections: BTreeMap<String, Source>,
    },
}

/// An output of an earlier step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub step: u64,
    pub output: String,
}

/// Actions after a job that change only how Galaxy's history looks.
const COSMETIC_ACTIONS: [&str; 4] = [
    "RenameDatasetAction",
    "HideDatasetAction",
    "TagDatasetAction",
    "DeleteIntermediatesAction",
];

/// Reads the workflow.
pub fn read(path: &Path) -> Result<Workflow> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the workflow {}", path.display()))?;
    let file: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    workflow(&file).with_context(|| format!("workflow {}", path.display()))
}

fn workflow(file: &Value) -> Result<Workflow> {
    if file.get("a_galaxy_workflow").and_then(Value::as_str) != Some("true") {
        bail!("this JSON file is no Galaxy workflow (a_galaxy_workflow is not \"true\")");
    }
    if let Some(format) = file
        .get("format-version")
        .and_then(Value::as_str)
        .filter(|format| *format != "0.1")
    {
        bail!("workflow format {format} is not supported, only 0.1");
    }
    let name = file
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("unnamed workflow")
        .to_owned();
    let listed = file
        .get("steps")
        .and_then(Value::as_object)
        .context("the workflow has no steps")?;
    let mut steps = Vec::with_capacity(listed.len());
    for (key, value) in listed {
        steps.push(step(key, value)?);
    }
    Ok(Workflow {
        name,
        steps: in_order(steps)?,
    })
}

fn step(key: &str, value: &Value) -> Result<Step> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let id = value
        .get("id")
        .and_then(Value::as_u64)
        .or_else(|| key.parse().ok())
        .with_context(|| format!("step {key} has no id"))?;
    // Older workflows name a data input in its list of inputs only, and call the step what all such steps are called.
    let input_name = || value.pointer("/inputs/0/name").and_then(Value::as_str);
    let is_input = text("type") == Some("data_input");
    let label = text("label")
        .or_else(|| input_name().filter(|_| is_input))
        .or_else(|| text("name"))
        .map_or_else(|| format!("step {id}"), str::to_owned);
    let kind = kind(value).with_context(|| format!("step {id} ({label})"))?;
    Ok(Step { id, label, kind })
}

fn kind(value: &Value) -> Result<StepKind> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    if value.get("when").is_some_and(|when| !when.is_null()) {
        bail!("steps that run under a condition are not supported");
    }
    match text("type").unwrap_or("tool") {
        "data_input" => Ok(StepKind::DataInput),
        "tool" => {
            for (action, details) in value
                .get("post_job_actions")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let kind = details.get("action_type").and_then(Value::as_str).unwrap_or(action);
                if !COSMETIC_ACTIONS.contains(&kind) {
                    bail!("the action {kind} after the job is not supported");
                }
            }
            let full_id = text("tool_id").context("the step has no tool_id")?;
            Ok(StepKind::Tool {
                tool_id: short_tool_id(full_id).to_owned(),
                shed_id: (short_tool_id(full_id) != full_id).then(|| full_id.to_owned()),
                state: tool_state(value.get("tool_state"))?,
                connections: connections(value.get("input_connections"))?,
            })
        }
        "subworkflow" => bail!("subworkflows are not supported"),
        "parameter_input" => bail!("parameters as workflow inputs are not supported"),
        "data_collection_input" => bail!("collections as workflow inputs are not supported"),
        other => bail!("steps of type {other:?} are not supported"),
    }
}

/// `toolshed.g2.bx.psu.edu/repos/OWNER/REPOSITORY/ID/VERSION` is known by its ID.
fn short_tool_id(id: &str) -> &str {
    match id.split('/').collect::<Vec<_>>().as_slice() {
        [_, "repos", _, _, short, _] => short,
        _ => id,
    }
}

/// The state is a JSON text in the JSON file; in files of older Galaxies each of its values is a JSON text once more.
fn tool_state(state: Option<&Value>) -> Result<Map<String, Value>> {
    let decoded = match state {
        Some(Value::String(text)) => serde_json::from_str(text).context("tool_state is not JSON")?,
        Some(other) => other.clone(),
        None => bail!("the step has no tool_state"),
    };
    let Value::Object(map) = decoded else {
        bail!("tool_state is not an object");
    };
    Ok(map
        .into_iter()
        .filter(|(key, _)| !key.starts_with("__"))
        .map(|(key, value)| (key, decoded_twice(value)))
        .collect())
}

/// Decodes a top-level value that is itself JSON: an object, an array or a text in quotes. Plain numbers and words stay text,
/// since the wrapper says what they are.
fn decoded_twice(value: Value) -> Value {
    match &value {
        Value::String(text) if text.starts_with(['{', '[', '"']) => serde_json::from_str(text).unwrap_or(value),
        Value::String(text) if text == "null" => Value::Null,
        _ => value,
    }
}

fn connections(value: Option<&Value>) -> Result<BTreeMap<String, Source>> {
    let mut found = BTreeMap::new();
    for (input, source) in value.and_then(Value::as_object).into_iter().flatten() {
        let source = match source {
            Value::Array(sources) if sources.len() == 1 => &sources[0],
            Value::Array(_) => bail!("input {input} takes several datasets, which is not supported"),
            single => single,
        };
        let step = source
            .get("id")
            .and_then(Value::as_u64)
            .with_context(|| format!("the connection of {input} names no step"))?;
        let output = source
            .get("output_name")
            .and_then(Value::as_str)
            .unwrap_or("output")
            .to_owned();
        found.insert(input.clone(), Source { step, output });
    }
    Ok(found)
}

/// Sorts the steps so that each comes after those that it takes outputs from; among those that could run, by id.
fn in_order(mut waiting: Vec<Step>) -> Result<Vec<Step>> {
    waiting.sort_by_key(|step| step.id);
    let mut ordered: Vec<Step> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|step| match &step.kind {
            StepKind::DataInput => true,
            StepKind::Tool { connections, .. } => connections
                .values()
                .all(|source| ordered.iter().any(|done| done.id == source.step)),
        });
        let Some(ready) = ready else {
            let stuck = &waiting[0];
            bail!(
                "step {} ({}) takes an output of a step that does not exist or waits for it in turn",
                stuck.id,
                stuck.label
            );
        };
        ordered.push(waiting.remove(ready));
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(steps: &Value) -> Value {
        json!({"a_galaxy_workflow": "true", "format-version": "0.1", "name": "w", "steps": steps})
    }

    fn error(step: &Value) -> String {
        format!("{:#}", workflow(&file(&json!({"0": step}))).unwrap_err())
    }

    #[test]
    fn steps_run_after_those_they_depend_on_whatever_their_numbers() {
        let steps = json!({
            "0": {"id": 0, "label": "late", "type": "tool", "tool_id": "toolshed.g2.bx.psu.edu/repos/o/r/late/1.0",
                  "tool_state": "{}", "input_connections": {"x": {"id": 2, "output_name": "out"}}},
            "1": {"id": 1, "label": "data", "type": "data_input"},
            "2": {"id": 2, "label": "early", "type": "tool", "tool_id": "early", "tool_state": "{}",
                  "input_connections": {"x": [{"id": 1, "output_name": "output"}]}},
        });
        let read = workflow(&file(&steps)).unwrap();
        assert_eq!(
            read.steps.iter().map(|s| s.label.as_str()).collect::<Vec<_>>(),
            ["data", "early", "late"]
        );
        let StepKind::Tool {
            tool_id,
            shed_id,
            connections,
            ..
        } = &read.steps[2].kind
        else {
            panic!("a tool")
        };
        assert_eq!(tool_id, "late");
        assert_eq!(shed_id.as_deref(), Some("toolshed.g2.bx.psu.edu/repos/o/r/late/1.0"));
        assert_eq!(
            connections["x"],
            Source {
                step: 2,
                output: "out".into()
            }
        );
    }

    #[test]
    fn data_inputs_of_older_workflows_are_known_by_their_own_name() {
        let steps = json!({"0": {"id": 0, "label": null, "name": "Input dataset", "type": "data_input",
                                 "inputs": [{"name": "X_train", "description": ""}]}});
        assert_eq!(workflow(&file(&steps)).unwrap().steps[0].label, "X_train");
    }

    #[test]
    fn states_of_both_ages_decode_to_the_same() {
        let new = json!(r#"{"a": {"b": "1"}, "t": "x", "n": null, "__page__": null}"#);
        let old = json!(r#"{"a": "{\"b\": \"1\"}", "t": "\"x\"", "n": "null", "__page__": 0}"#);
        assert_eq!(tool_state(Some(&new)).unwrap(), tool_state(Some(&old)).unwrap());
        assert_eq!(
            tool_state(Some(&json!(r#"{"t": "(32, )"}"#))).unwrap()["t"],
            json!("(32, )")
        );
    }

    #[test]
    fn unsupported_steps_are_named() {
        assert!(error(&json!({"id": 0, "label": "sub", "type": "subworkflow"})).contains("step 0 (sub): subworkflows"));
        assert!(error(&json!({"id": 0, "type": "parameter_input", "name": "p"})).contains("step 0 (p): parameters"));
        assert!(
            error(&json!({"id": 0, "type": "tool", "tool_id": "t", "tool_state": "{}", "when": "$(x)"}))
                .contains("condition")
        );
        assert!(error(&json!({"id": 0, "type": "tool", "tool_id": "t", "tool_state": "{"})).contains("not JSON"));
        let action = json!({"id": 0, "type": "tool", "tool_id": "t", "tool_state": "{}",
                            "post_job_actions": {"ChangeDatatypeActionout": {"action_type": "ChangeDatatypeAction"}}});
        assert!(error(&action).contains("ChangeDatatypeAction"));
    }

    #[test]
    fn steps_that_wait_for_each_other_are_an_error() {
        let step = |id: u64, from: u64| {
            json!({"id": id, "label": format!("s{id}"), "type": "tool", "tool_id": "t", "tool_state": "{}",
                   "input_connections": {"x": {"id": from, "output_name": "o"}}})
        };
        let error = workflow(&file(&json!({"0": step(0, 1), "1": step(1, 0)})))
            .unwrap_err()
            .to_string();
        assert!(error.contains("step 0 (s0)"), "{error}");
    }

    #[test]
    fn json_that_is_no_workflow_is_refused() {
        assert!(
            workflow(&json!({"steps": {}}))
                .unwrap_err()
                .to_string()
                .contains("no Galaxy workflow")
        );
    }
}
