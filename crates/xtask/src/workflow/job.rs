//! One job: a fresh directory, the inputs JSON, the command, the outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::command;
use super::measured::{Line, run_measured};
use super::wrapper::Wrapper;

/// What a job made.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The output's name in the wrapper.
    pub name: String,
    /// Galaxy's datatype.
    pub format: String,
    pub path: PathBuf,
}

/// A job that has ended well.
#[derive(Debug)]
pub struct JobReport {
    /// The step's label in the workflow.
    pub label: String,
    pub tool_id: String,
    /// Wall time.
    pub seconds: f64,
    /// See [`super::measured::Finished::peak_mb`].
    pub peak_mb: Option<f64>,
    /// The inputs JSON.
    pub params: Value,
    pub stdout: String,
    pub outputs: Vec<Dataset>,
}

/// What does not change from job to job.
pub struct Place<'a> {
    /// Where the tools' binaries lie.
    pub binaries: &'a Path,
    /// `GALAXY_SLOTS`: threads that a job may use.
    pub slots: usize,
}

/// What a job is to do: the inputs JSON, and the datatypes of the datasets in it by the input's path.
pub struct Order {
    pub params: Value,
    pub formats: BTreeMap<String, String>,
}

/// Runs a job in `directory`, which is emptied first. Beside the outputs it then holds `inputs.json`, `tool_stdout` and `tool_stderr`.
pub fn run(
    place: &Place<'_>,
    label: &str,
    wrapper: &Wrapper,
    order: Order,
    directory: &Path,
    mut seen: impl FnMut(&Line),
) -> Result<JobReport> {
    let Order { params, formats } = order;
    let shown = directory.display();
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {shown}"))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {shown}"))?;
    let inputs = directory.join("inputs.json");
    fs::write(&inputs, params.to_string()).with_context(|| format!("cannot write {}", inputs.display()))?;

    let words = command::words(&wrapper.command, &inputs, place.slots)?;
    let (program, arguments) = words.split_first().context("the wrapper's command is empty")?;
    let binary = place
        .binaries
        .join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        bail!("the command wants {program}, but there is no {}", binary.display());
    }
    let mut invocation = Command::new(&binary);
    invocation
        .args(arguments)
        .current_dir(directory)
        .env("GALAXY_SLOTS", place.slots.to_string());

    let (mut stdout, mut stderr) = (String::new(), String::new());
    let finished = run_measured(&mut invocation, |line| {
        let (text, line_text) = match &line {
            Line::Stdout(text) => (&mut stdout, text),
            Line::Stderr(text) => (&mut stderr, text),
        };
        text.push_str(line_text);
        text.push('\n');
        seen(&line);
    })?;
    fs::write(directory.join("tool_stdout"), &stdout).with_context(|| format!("cannot write to {shown}"))?;
    fs::write(directory.join("tool_stderr"), &stderr).with_context(|| format!("cannot write to {shown}"))?;
    if !finished.status.success() {
        let last = stderr
            .trim()
            .lines()
            .last()
            .unwrap_or("it wrote nothing on stderr")
            .to_owned();
        bail!("{program} failed ({}): {last}", finished.status);
    }

    let mut outputs = Vec::new();
    for output in &wrapper.outputs {
        if output.exists_for(&params)? {
            let Some(path) = collected(directory, &output.file)? else {
                bail!(
                    "{program} ended well, but its output {:?} is missing: there is no {}",
                    output.name,
                    directory.join(&output.file).display()
                );
            };
            outputs.push(Dataset {
                name: output.name.clone(),
                format: output.format_for(&params, &formats),
                path,
            });
        }
    }
    Ok(JobReport {
        label: label.to_owned(),
        tool_id: wrapper.id.clone(),
        seconds: finished.seconds,
        peak_mb: finished.peak_mb,
        params,
        stdout,
        outputs,
    })
}

/// The file that `from_work_dir` names: as it is, or up to the `*` at its end.
fn collected(directory: &Path, name: &str) -> Result<Option<PathBuf>> {
    let Some(start) = name.strip_suffix('*') else {
        let path = directory.join(name);
        return Ok(path.is_file().then_some(path));
    };
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("cannot look into {}", directory.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.retain(|path| {
        let file = path.file_name().and_then(|file| file.to_str());
        path.is_file() && file.is_some_and(|file| file.starts_with(start))
    });
    found.sort();
    Ok(found.into_iter().next())
}
