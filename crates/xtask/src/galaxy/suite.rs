//! `cargo xtask galaxy test`: every tool and workflow where users run them.

use std::cmp::Reverse;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::planemo::{self, Case};
use super::published;
use super::server::Server;
use super::summary::Summary;
use super::toolbox::{self, Toolbox};
use super::{install, leftovers, lint, place, programs, shed};

/// What to test.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wrappers (.xml) or workflows (.ga with its -tests.yml beside it); without any, everything
    #[arg(value_name = "PATH", conflicts_with = "published")]
    paths: Vec<PathBuf>,
    /// Workflows that name the original tools, by their Tool Shed ids and versions; they run as they are
    #[arg(long, value_name = "FILE.ga", num_args = 1..)]
    published: Vec<PathBuf>,
    /// Where the programs are, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let named = named(args)?;
    let everything = named.is_empty();
    let wrappers = toolbox::suite()?;
    let (tools, workflows) = if everything {
        (wrappers.clone(), lint::workflows()?)
    } else {
        named.into_iter().partition(|path| !planemo::is_workflow(path))
    };
    let mut expected = 0;
    for artefact in tools.iter().chain(&workflows) {
        let count = planemo::tests_of(artefact)?;
        ensure!(count > 0, "{} has no tests", artefact.display());
        expected += count;
    }
    let mut offered = wrappers.clone();
    offered.extend(tools.iter().filter(|tool| !wrappers.contains(tool)).cloned());
    let toolbox = Toolbox {
        local: offered,
        published: if name_published_tools(&workflows)? {
            published::all()?
        } else {
            Vec::new()
        },
    };

    install::both()?;
    let programs = programs(args.bin.as_deref())?;
    let home = place::test_server();
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    let mut server = Server::start(&home, &toolbox, &programs)?;
    let mut summary = Summary::default();
    if everything {
        // Galaxy takes its minute to start meanwhile.
        lint::all(&mut summary);
    }
    let up = server.wait()?;
    summary.add(Case {
        name: format!("Galaxy started at {}", server.url()),
        seconds: up.as_secs_f64(),
        problems: Vec::new(),
    });
    in_galaxy(&server, &[tools, workflows].concat(), expected, &mut summary);
    if everything {
        shed::test(&server, &mut summary);
    }
    summary.check("failed jobs leave no green output", || leftovers::check(&server.api()?));
    if summary.failed() {
        println!("{}", server.log_tail());
    }
    if let Some(reason) = server.ended()? {
        bail!("{reason}\n{}", server.log_tail());
    }
    summary.finish()
}

/// The files that the command names, as absolute paths.
fn named(args: &Args) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in args.paths.iter().chain(&args.published) {
        ensure!(path.is_file(), "there is no {}", path.display());
        // Links stay: the tests lie beside the link.
        let path = std::path::absolute(path).with_context(|| format!("there is no {}", path.display()))?;
        let known = path
            .extension()
            .is_some_and(|extension| extension == "ga" || extension == "xml");
        ensure!(
            known,
            "{} is neither a wrapper (.xml) nor a workflow (.ga)",
            path.display()
        );
        found.push(path);
    }
    for workflow in &args.published {
        ensure!(
            planemo::is_workflow(workflow),
            "{} is no workflow (.ga)",
            workflow.display()
        );
    }
    Ok(found)
}

/// Whether any of the workflows names a tool by its id in the Tool Shed.
fn name_published_tools(workflows: &[PathBuf]) -> Result<bool> {
    for workflow in workflows {
        let text = fs::read_to_string(workflow).with_context(|| format!("cannot read {}", workflow.display()))?;
        if text.contains("toolshed.g2.bx.psu.edu/repos/") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tests the artefacts, several at a time, and notes each test. Tests that nobody reports are a failure too.
pub fn in_galaxy(server: &Server, artefacts: &[PathBuf], expected: usize, summary: &mut Summary) {
    let lanes = lanes(artefacts);
    let reported = Mutex::new((summary, 0));
    thread::scope(|scope| {
        for (number, lane) in lanes.iter().enumerate() {
            let reported = &reported;
            scope.spawn(move || {
                let outcome = planemo::test(server, &format!("test_{number}"), lane);
                let Ok(mut reported) = reported.lock() else { return };
                match outcome {
                    Ok(cases) => {
                        reported.1 += cases.len();
                        for case in cases {
                            reported.0.add(case);
                        }
                    }
                    Err(error) => reported.0.check("planemo test", || Err(error)),
                }
            });
        }
    });
    if let Ok((summary, count)) = reported.into_inner()
        && count != expected
    {
        summary.check("every test is reported", || {
            bail!("{count} of {expected} tests were reported")
        });
    }
}

/// Shares the artefacts out: the one with the most tests first, each to the lane that has the fewest tests so far. Tools and workflows
/// have lanes of their own: planemo breaks down when one call names both.
fn lanes(artefacts: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let (workflows, tools): (Vec<_>, Vec<_>) = artefacts.iter().partition(|path| planemo::is_workflow(path));
    [shared_out(tools), shared_out(workflows)].concat()
}

fn shared_out(artefacts: Vec<&PathBuf>) -> Vec<Vec<PathBuf>> {
    let mut sized: Vec<(usize, &PathBuf)> = artefacts
        .into_iter()
        .map(|path| (planemo::tests_of(path).unwrap_or(1), path))
        .collect();
    sized.sort_by_key(|(size, _)| Reverse(*size));
    let mut lanes = [(0, Vec::new()), (0, Vec::new())];
    for (size, path) in sized {
        if let Some(lane) = lanes.iter_mut().min_by_key(|(load, _)| *load) {
            lane.0 += size;
            lane.1.push(path.clone());
        }
    }
    lanes
        .into_iter()
        .map(|(_, lane)| lane)
        .filter(|lane| !lane.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_hold_every_artefact_once_and_never_tools_beside_workflows() {
        let artefacts = [toolbox::suite().unwrap(), lint::workflows().unwrap()].concat();
        let lanes = lanes(&artefacts);
        for lane in &lanes {
            let workflows = lane.iter().filter(|path| planemo::is_workflow(path)).count();
            assert!(
                !lane.is_empty() && (workflows == 0 || workflows == lane.len()),
                "{lane:?}"
            );
        }
        let mut all = lanes.concat();
        all.sort();
        let mut expected = artefacts.clone();
        expected.sort();
        assert_eq!(all, expected);
        assert_eq!(super::lanes(&artefacts[..1]).len(), 1);
    }

    #[test]
    fn only_published_workflows_name_tools_of_the_tool_shed() {
        let (published, own): (Vec<_>, Vec<_>) = lint::workflows()
            .unwrap()
            .into_iter()
            .partition(|path| path.to_string_lossy().contains("/published/"));
        assert!(!name_published_tools(&own).unwrap());
        assert!(name_published_tools(&published).unwrap());
    }
}
