//! What planemo finds wrong with wrappers, their metadata and workflows, without running anything.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::summary::Summary;
use super::{planemo, stage};
use crate::repository;

/// A warning is a failure.
const STRICT: [&str; 4] = ["--report_level", "warn", "--fail_level", "warn"];

/// All of it.
pub fn all(summary: &mut Summary) {
    summary.check("planemo lint", || {
        planemo::check(
            "lint",
            &[&["lint"], &STRICT[..]].concat(),
            &[
                repository::root().join("galaxy-tools"),
                repository::root().join("published"),
            ],
        )
    });
    summary.check("planemo shed_lint, the suite and each tool's repository", || {
        // Which versions the Tool Shed holds already is a question to the Tool Shed.
        let offline = ["shed_lint", "--tools", "--ensure_metadata", "--skip", "version_bumped"];
        planemo::check("shed_lint", &[&offline, &STRICT[..]].concat(), &[stage::wrappers()?])
    });
    summary.check("planemo workflow_lint", || {
        // Whether the Tool Shed has a tool is a question to the Tool Shed.
        let offline = ["workflow_lint", "--skip", "tool_ids"];
        planemo::check("workflow_lint", &[&offline, &STRICT[..]].concat(), &workflows()?)
    });
}

/// The project's workflows, those with the originals' ids among them, in order of their names.
pub fn workflows() -> Result<Vec<PathBuf>> {
    let place = repository::root().join("workflows");
    Ok([workflows_in(&place)?, workflows_in(&place.join("published"))?].concat())
}

fn workflows_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry
            .with_context(|| format!("cannot read {}", directory.display()))?
            .path();
        if planemo::is_workflow(&path) {
            found.push(path);
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "there is no workflow in {}", directory.display());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tutorials::catalogue::{LABELS, TUTORIALS};

    /// The names under `outputs:`.
    fn outputs(tests: &str) -> BTreeSet<&str> {
        let (_, outputs) = tests.split_once("  outputs:\n").unwrap();
        let names = outputs
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(':'));
        names.filter(|name| !name.starts_with(' ')).collect()
    }

    #[test]
    fn the_tests_on_the_real_data_name_its_zenodo_record_and_look_at_every_output() {
        let workflows = repository::root().join("workflows");
        for tutorial in &TUTORIALS {
            let name = tutorial.workflow.replace(".ga", "-tests.yml");
            let bundled = fs::read_to_string(workflows.join(&name)).unwrap();
            let real = fs::read_to_string(workflows.join("zenodo").join(&name)).unwrap();
            for label in LABELS {
                let address = format!("https://zenodo.org/records/{}/files/{label}.tsv", tutorial.zenodo);
                assert!(real.contains(&address), "{address}");
            }
            assert_eq!(outputs(&real), outputs(&bundled));
            assert_eq!(outputs(&real).len(), 7);
            let linked = workflows.join("zenodo").join(tutorial.workflow).canonicalize().unwrap();
            assert_eq!(linked, workflows.join(tutorial.workflow).canonicalize().unwrap());
        }
    }
}
