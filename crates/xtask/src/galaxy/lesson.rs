//! What a newcomer finds in the Galaxy that `start` serves: each tutorial's data in a history of its own, and its workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::api::{self, Api};
use crate::repository;
use crate::tutorials::catalogue::{LABELS, TUTORIALS, Tutorial};

/// All of it is a few small tables.
const PATIENCE: Duration = Duration::from_mins(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Makes what is not there yet, the first tutorial last: Galaxy shows the youngest history first.
pub fn prepare(api: &Api) -> Result<()> {
    let histories = names(api, "histories")?;
    let workflows = names(api, "workflows")?;
    for tutorial in TUTORIALS.iter().rev() {
        let file = repository::root().join("workflows").join(tutorial.workflow);
        let workflow = read(&file)?;
        let name = api::text(&workflow, "name")?;
        if !workflows.contains(name) {
            api.post("workflows", &json!({ "workflow": workflow }))?;
        }
        if !histories.contains(name) {
            load(api, name, tutorial)?;
        }
    }
    Ok(())
}

/// A dataset that a workflow made.
#[derive(Debug)]
pub struct Output {
    /// The history that it is in.
    pub history: String,
    /// Its id.
    pub dataset: String,
}

/// Runs the tutorial's workflow on its history, waits for its jobs, and returns its outputs by their names.
pub fn run_through(api: &Api, tutorial: &Tutorial, patience: Duration) -> Result<BTreeMap<String, Output>> {
    let workflow = read(&repository::root().join("workflows").join(tutorial.workflow))?;
    let name = api::text(&workflow, "name")?;
    let history = id_of(api, "histories", name)?;
    let workflow = id_of(api, "workflows", name)?;
    let contents = api.get(&format!("histories/{history}/contents"))?;
    let mut inputs = serde_json::Map::new();
    for dataset in api::list(&contents)? {
        let id = api::text(dataset, "id")?;
        inputs.insert(api::text(dataset, "name")?.to_owned(), json!({"src": "hda", "id": id}));
    }
    let invocation = api.post(
        &format!("workflows/{workflow}/invocations"),
        &json!({"history_id": history, "inputs": inputs, "inputs_by": "name"}),
    )?;
    let id = api::text(&invocation, "id")?;
    let start = Instant::now();
    loop {
        let invocation = api.get(&format!("invocations/{id}"))?;
        let summary = api.get(&format!("invocations/{id}/jobs_summary"))?;
        let states: BTreeMap<String, u64> =
            serde_json::from_value(summary.get("states").cloned().unwrap_or_default()).unwrap_or_default();
        ensure!(!states.contains_key("error"), "a job of the workflow {name:?} failed");
        let outputs = outputs(&invocation, &history)?;
        let done = states.keys().all(|state| state == "ok") && !states.is_empty();
        if done && !outputs.is_empty() && api::text(&invocation, "state")? != "new" {
            return Ok(outputs);
        }
        ensure!(
            start.elapsed() < patience,
            "the workflow {name:?} takes too long: {states:?}"
        );
        thread::sleep(BETWEEN_LOOKS);
    }
}

fn outputs(invocation: &Value, history: &str) -> Result<BTreeMap<String, Output>> {
    let outputs = invocation.get("outputs").and_then(Value::as_object);
    let outputs = outputs.into_iter().flatten();
    outputs
        .map(|(name, output)| {
            let dataset = api::text(output, "id")?.to_owned();
            let history = history.to_owned();
            Ok((name.clone(), Output { history, dataset }))
        })
        .collect()
}

fn id_of(api: &Api, what: &str, name: &str) -> Result<String> {
    let answer = api.get(what)?;
    let found = api::list(&answer)?
        .iter()
        .find(|one| api::text(one, "name").is_ok_and(|found| found == name));
    let found = found.with_context(|| format!("Galaxy has no {name:?} among its {what}"))?;
    Ok(api::text(found, "id")?.to_owned())
}

fn names(api: &Api, what: &str) -> Result<BTreeSet<String>> {
    let answer = api.get(what)?;
    api::list(&answer)?
        .iter()
        .map(|one| Ok(api::text(one, "name")?.to_owned()))
        .collect()
}

fn read(workflow: &Path) -> Result<Value> {
    let text = fs::read_to_string(workflow).with_context(|| format!("cannot read {}", workflow.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", workflow.display()))
}

/// A history with the tutorial's four tables, under the names that the workflow's inputs have.
fn load(api: &Api, name: &str, tutorial: &Tutorial) -> Result<()> {
    let history = api.post("histories", &json!({ "name": name }))?;
    let history = api::text(&history, "id")?;
    let files = repository::root().join("test-data").join(tutorial.data);
    let elements: Vec<Value> = LABELS
        .iter()
        .map(|label| element(label, &files.join(format!("{label}.tsv"))))
        .collect();
    api.post(
        "tools/fetch",
        &json!({
            "history_id": history,
            "targets": [{"destination": {"type": "hdas"}, "elements": elements}],
        }),
    )?;
    until_there(api, history)
}

/// Galaxy reads the file where it lies and keeps a copy.
fn element(label: &str, file: &PathBuf) -> Value {
    json!({"src": "path", "path": file, "name": label, "ext": "tabular", "link_data_only": false})
}

fn until_there(api: &Api, history: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let contents = api.get(&format!("histories/{history}/contents"))?;
        let states: Vec<&str> = api::list(&contents)?
            .iter()
            .map(|dataset| api::text(dataset, "state"))
            .collect::<Result<_>>()?;
        ensure!(!states.contains(&"error"), "a table could not be loaded into Galaxy");
        if states.len() == LABELS.len() && states.iter().all(|state| *state == "ok") {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "the tables are not in Galaxy after {} s: {}",
                PATIENCE.as_secs(),
                states.join(", ")
            );
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}
