//! Which wrappers a Galaxy serves, and under which names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::published::Published;
use crate::repository;

/// The wrappers in a directory, in order of their names: each XML file that is a tool and not macros.
pub fn wrappers_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let (tools, _) = tools_and_macros(directory)?;
    ensure!(!tools.is_empty(), "there is no tool in {}", directory.display());
    Ok(tools)
}

/// The files in a directory that wrappers import.
pub fn macros_in(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(tools_and_macros(directory)?.1)
}

fn tools_and_macros(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        files.push(
            entry
                .with_context(|| format!("cannot read {}", directory.display()))?
                .path(),
        );
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    let mut tools = Vec::new();
    let mut macros = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if text.trim_start().starts_with("<tool ") {
            tools.push(path);
        } else {
            macros.push(path);
        }
    }
    Ok((tools, macros))
}

/// The project's own wrappers.
pub fn suite() -> Result<Vec<PathBuf>> {
    wrappers_in(&repository::root().join("galaxy-tools"))
}

/// The tool's id: its wrapper is named after it.
pub fn id_of(wrapper: &Path) -> String {
    wrapper.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a Galaxy offers.
#[derive(Debug, Clone, Default)]
pub struct Toolbox {
    /// Under their own ids.
    pub local: Vec<PathBuf>,
    /// Under the ids and versions that published workflows name.
    pub published: Vec<Published>,
}

impl Toolbox {
    /// The file for `tool_config_file` with the local wrappers.
    pub fn local_conf(&self) -> String {
        let tools: Vec<String> = self
            .local
            .iter()
            .map(|wrapper| format!("    <tool file=\"{}\"/>\n", escaped(wrapper)))
            .collect();
        format!(
            "<toolbox>\n  <section id=\"galaxy_burn\" name=\"Deep learning (galaxy-burn)\">\n{}  </section>\n</toolbox>\n",
            tools.concat()
        )
    }

    /// The file for `tool_config_file` with the published ids; their wrappers lie below `place`.
    pub fn published_conf(&self, place: &Path) -> String {
        let tools: Vec<String> = self.published.iter().map(Published::conf_entry).collect();
        format!(
            "<toolbox tool_path=\"{}\">\n  <section id=\"galaxy_burn_published\" name=\"The same, for published workflows\">\n{}  \
             </section>\n</toolbox>\n",
            escaped(place),
            tools.concat()
        )
    }
}

/// A path as the value of an XML attribute.
fn escaped(path: &Path) -> String {
    path.to_string_lossy()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_no_tools() {
        let ids: Vec<String> = suite().unwrap().iter().map(|path| id_of(path)).collect();
        assert!(ids.contains(&"keras_model_config".to_owned()), "{ids:?}");
        assert!(!ids.contains(&"macros".to_owned()), "{ids:?}");
        assert!(!ids.contains(&"layers".to_owned()), "{ids:?}");
    }

    #[test]
    fn a_path_with_signs_of_xml_stays_one_attribute() {
        let toolbox = Toolbox {
            local: vec![PathBuf::from("/a & b/\"c\".xml")],
            published: Vec::new(),
        };
        assert!(toolbox.local_conf().contains("file=\"/a &amp; b/&quot;c&quot;.xml\""));
    }
}
