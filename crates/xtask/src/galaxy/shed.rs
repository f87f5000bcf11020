//! The archives for a Tool Shed: one repository per tool and a suite that names them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::api::{self, Api};
use super::server::Server;
use super::summary::Summary;
use super::toolbox::{self, Toolbox};
use super::{place, planemo, stage, suite};

/// The tool whose archive is tested alone. Its tests need models and tables.
const ALONE: &str = "model_prediction";
const SUITE: &str = "suite_galaxy_burn";
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Builds all archives and returns their directory.
pub fn build() -> Result<PathBuf> {
    let archives = place::archives();
    if archives.exists() {
        fs::remove_dir_all(&archives).with_context(|| format!("cannot remove {}", archives.display()))?;
    }
    fs::create_dir_all(&archives).with_context(|| format!("cannot make {}", archives.display()))?;
    planemo::build_archives(&stage::wrappers()?, &archives)?;
    Ok(archives)
}

/// Builds the archives, looks at what they hold, and tests one of them in a Galaxy that has nothing else.
pub fn test(server: &Server, summary: &mut Summary) {
    let mut unpacked = Err(anyhow::anyhow!("the archives were not built"));
    summary.check("Tool Shed archives hold all that their tools need", || {
        let archives = build()?;
        complete(&archives)?;
        unpacked = Ok(archives.join(ALONE).join(format!("{ALONE}.xml")));
        Ok(())
    });
    let Ok(wrapper) = unpacked else { return };
    summary.check("one archive unpacked, its tool alone in Galaxy", || {
        alone(server, &wrapper)
    });
    let expected = planemo::tests_of(&wrapper).unwrap_or(0);
    suite::in_galaxy(server, &[wrapper], expected, summary);
}

/// Unpacks every archive and looks for what its wrapper imports and its tests name.
fn complete(archives: &Path) -> Result<()> {
    let ids: BTreeSet<String> = toolbox::suite()?
        .iter()
        .map(|wrapper| toolbox::id_of(wrapper))
        .collect();
    for id in &ids {
        let place = unpack(archives, id)?;
        let tools = toolbox::wrappers_in(&place)?;
        ensure!(
            tools.len() == 1 && toolbox::id_of(&tools[0]) == *id,
            "the archive of {id} holds {} tools",
            tools.len()
        );
        let text = fs::read_to_string(&tools[0]).with_context(|| format!("cannot read {}", tools[0].display()))?;
        for needed in imports(&text).into_iter().chain(test_files(&text)) {
            ensure!(place.join(&needed).is_file(), "the archive of {id} lacks {needed}");
        }
    }
    let file = unpack(archives, SUITE)?.join("repository_dependencies.xml");
    let named = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    for id in &ids {
        ensure!(
            named.contains(&format!("name=\"{id}\"")),
            "the suite does not name {id}"
        );
    }
    Ok(())
}

fn unpack(archives: &Path, name: &str) -> Result<PathBuf> {
    let archive = archives.join(format!("shed_upload_{name}.tar.gz"));
    let place = archives.join(name);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&place)
        .status()
        .context("cannot start tar")?;
    ensure!(status.success(), "cannot unpack {}: {status}", archive.display());
    Ok(place)
}

/// The files of macros that a wrapper names.
fn imports(wrapper: &str) -> Vec<String> {
    between(wrapper, "<import>", "</import>")
}

/// The files that a wrapper's tests name, below its directory.
fn test_files(wrapper: &str) -> Vec<String> {
    let values = between(wrapper, " value=\"", "\"");
    let files = values
        .into_iter()
        .filter(|value| value.starts_with("models/") || value.starts_with("tables/"));
    files.map(|file| format!("test-data/{file}")).collect()
}

fn between(text: &str, start: &str, end: &str) -> Vec<String> {
    let parts = text.split(start).skip(1);
    parts
        .filter_map(|part| Some(part.split_once(end)?.0.to_owned()))
        .collect()
}

/// Offers the unpacked tool and no other of ours, and waits until Galaxy, which does that in its own time, has done it.
fn alone(server: &Server, wrapper: &Path) -> Result<()> {
    server.offer(&Toolbox {
        local: vec![wrapper.to_owned()],
        published: Vec::new(),
    })?;
    let api = server.api()?;
    let start = Instant::now();
    loop {
        let others = others(&api)?;
        if others.is_empty() {
            break;
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "Galaxy should offer {ALONE} alone, but still offers {}",
                others.join(", ")
            );
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    let tool = api.get(&format!("tools/{ALONE}"))?;
    let file = api::text(&tool, "config_file")?;
    ensure!(
        Path::new(file) == wrapper,
        "Galaxy offers {ALONE} of {file} instead of {}",
        wrapper.display()
    );
    Ok(())
}

/// Tools of ours that are offered beside the one that should be alone.
fn others(api: &Api) -> Result<Vec<String>> {
    let tools = api.get("tools?in_panel=false")?;
    let offered: BTreeSet<&str> = api::list(&tools)?
        .iter()
        .filter_map(|tool| api::text(tool, "id").ok())
        .collect();
    let ours = toolbox::suite()?;
    let ids = ours.iter().map(|wrapper| toolbox::id_of(wrapper));
    Ok(ids.filter(|id| id != ALONE && offered.contains(id.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrapper_needs_is_found_in_its_text() {
        let text = r#"<tool><macros><import>macros.xml</import></macros><tests><param name="a" value="tables/x.tsv"/>
            <param name="b" value="3"/></tests></tool>"#;
        assert_eq!(imports(text), ["macros.xml"]);
        assert_eq!(test_files(text), ["test-data/tables/x.tsv"]);
    }

    #[test]
    fn the_tool_that_is_tested_alone_needs_models_and_tables() {
        let wrapper = toolbox::suite()
            .unwrap()
            .into_iter()
            .find(|path| toolbox::id_of(path) == ALONE)
            .unwrap();
        let files = test_files(&fs::read_to_string(wrapper).unwrap());
        assert!(
            files.iter().any(|file| file.starts_with("test-data/models/")),
            "{files:?}"
        );
        assert!(
            files.iter().any(|file| file.starts_with("test-data/tables/")),
            "{files:?}"
        );
    }
}
