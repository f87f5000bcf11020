//! Running a workflow: its jobs one after the other, each step's outputs the next ones' inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::ga::{self, StepKind};
use super::job::{self, JobReport, Order, Place};
use super::measured::Line;
use super::published;
use super::state::{self, Connected};
use super::wrapper;

/// A parameter that is set whatever the workflow says.
#[derive(Debug, Clone)]
pub struct Override {
    pub tool_id: &'static str,
    /// Keys from the top: `["mode_selection", "random_seed"]`.
    pub path: &'static [&'static str],
    pub value: Value,
}

/// Told what happens while a workflow runs.
pub trait Observer {
    /// A job is about to start.
    fn started(&mut self, _label: &str) {}
    /// A job wrote a line.
    fn line(&mut self, _tool_id: &str, _line: &Line) {}
    /// A job has ended well.
    fn finished(&mut self, _report: &JobReport) {}
}

/// Runs workflows with the wrappers of one directory and the binaries of another.
pub struct Runner {
    wrappers: BTreeMap<String, PathBuf>,
    /// The wrappers that stand in for published tools, by Tool Shed id with version; while there are none, the short id counts.
    published: BTreeMap<String, PathBuf>,
    binaries: PathBuf,
    slots: usize,
}

impl Runner {
    /// `slots` becomes every job's `GALAXY_SLOTS`.
    pub fn new(wrappers: &Path, binaries: &Path, slots: usize) -> Result<Self> {
        let binaries = std::path::absolute(binaries).with_context(|| format!("no directory {}", binaries.display()))?;
        Ok(Self {
            wrappers: wrapper::find_all(wrappers)?,
            published: BTreeMap::new(),
            binaries,
            slots,
        })
    }

    /// The same, and it knows the published tools that `list` (`published/tools.txt`) maps to wrappers.
    pub fn with_published(mut self, list: &Path) -> Result<Self> {
        self.published = published::read(list)?;
        Ok(self)
    }

    /// Runs the workflow. `datasets` are found by the labels of the workflow's data inputs; the job of step `n` with label `L` runs in
    /// `out/n-L`.
    pub fn run(
        &self,
        workflow: &Path,
        datasets: &BTreeMap<String, PathBuf>,
        out: &Path,
        overrides: &[Override],
        observer: &mut dyn Observer,
    ) -> Result<Vec<JobReport>> {
        let out = std::path::absolute(out)?;
        let workflow = ga::read(workflow)?;
        let mut made: BTreeMap<(u64, String), Made> = BTreeMap::new();
        let mut reports = Vec::new();
        for step in &workflow.steps {
            let named = || format!("workflow {:?}, step {} ({})", workflow.name, step.id, step.label);
            match &step.kind {
                StepKind::DataInput => {
                    let dataset = datasets.get(&step.label).with_context(|| {
                        let given: Vec<&str> = datasets.keys().map(String::as_str).collect();
                        format!(
                            "{}: no dataset is given under this label, only {}",
                            named(),
                            given.join(", ")
                        )
                    })?;
                    ensure!(dataset.is_file(), "{}: there is no file {}", named(), dataset.display());
                    let given = Made {
                        path: std::path::absolute(dataset)?,
                        format: None,
                    };
                    made.insert((step.id, "output".to_owned()), given);
                }
                StepKind::Tool {
                    tool_id,
                    shed_id,
                    state,
                    connections,
                } => {
                    let mut connected = Connected::new();
                    let mut formats = BTreeMap::new();
                    for (input, source) in connections {
                        let dataset = made.get(&(source.step, source.output.clone())).with_context(|| {
                            format!(
                                "{}: input {input} takes output {:?} of step {}, which was not made",
                                named(),
                                source.output,
                                source.step
                            )
                        })?;
                        connected.insert(input.clone(), dataset.path.clone());
                        if let Some(format) = &dataset.format {
                            formats.insert(input.clone(), format.clone());
                        }
                    }
                    observer.started(&step.label);
                    let directory = out.join(format!("{}-{}", reports.len() + 1, file_name(&step.label)));
                    let report = self
                        .wrapper(tool_id, shed_id.as_deref())
                        .and_then(|wrapper| {
                            let mut params = state::typed(&wrapper.inputs, state, &connected)?;
                            for change in overrides.iter().filter(|change| change.tool_id == tool_id) {
                                set(&mut params, change)?;
                            }
                            let place = Place {
                                binaries: &self.binaries,
                                slots: self.slots,
                            };
                            let order = Order { params, formats };
                            job::run(&place, &step.label, &wrapper, order, &directory, |line| {
                                observer.line(tool_id, line);
                            })
                        })
                        .with_context(named)?;
                    for dataset in &report.outputs {
                        let output = Made {
                            path: dataset.path.clone(),
                            format: Some(dataset.format.clone()),
                        };
                        made.insert((step.id, dataset.name.clone()), output);
                    }
                    observer.finished(&report);
                    reports.push(report);
                }
            }
        }
        Ok(reports)
    }

    /// The wrapper of a tool: the one that stands in for a published tool, else the one of that id.
    fn wrapper(&self, tool_id: &str, shed_id: Option<&str>) -> Result<wrapper::Wrapper> {
        let path = match shed_id {
            Some(shed_id) if !self.published.is_empty() => self.published.get(shed_id).with_context(|| {
                format!("no wrapper stands in for {shed_id}: published/tools.txt would have to list it")
            })?,
            _ => self
                .wrappers
                .get(tool_id)
                .with_context(|| format!("there is no wrapper for the tool {tool_id:?}"))?,
        };
        wrapper::read(path)
    }
}

/// A dataset of a running workflow.
struct Made {
    path: PathBuf,
    /// Its datatype; not known of the user's own.
    format: Option<String>,
}

fn set(params: &mut Value, change: &Override) -> Result<()> {
    let mut place = params;
    for key in change.path {
        place = match place.get_mut(key) {
            Some(inner) => inner,
            None => bail!(
                "cannot set {}: the step's parameters have no {key:?}",
                change.path.join("|")
            ),
        };
    }
    *place = change.value.clone();
    Ok(())
}

/// The label with everything but letters, digits, dots and underscores as dashes.
fn file_name(label: &str) -> String {
    let kept: String = label
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "._".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    kept.split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_lowercase()
}

#[cfg(all(test, unix))]
#[path = "run_tests.rs"]
mod tests;
