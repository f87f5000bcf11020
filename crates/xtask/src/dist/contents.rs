//! What goes into the archive beside the programs, and that all of it is of one version.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Below the archive's directory, with slashes.
    pub path: String,
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// Directories and files of the repository, and where they go. Links are followed, so that each directory can be used by itself.
const CONTENTS: [(&str, &str); 12] = [
    ("galaxy-tools", "galaxy-tools"),
    ("test-data/models", "galaxy-tools/test-data/models"),
    ("test-data/tables", "galaxy-tools/test-data/tables"),
    ("published", "published"),
    ("test-data/models", "published/test-data/models"),
    ("test-data/tables", "published/test-data/tables"),
    ("docs", "docs"),
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("packaging/Containerfile", "packaging/Containerfile"),
    ("packaging/tpv", "packaging/tpv"),
];

/// Reads everything but the programs.
pub fn collect(root: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (from, to) in CONTENTS {
        add(&root.join(from), to, &mut entries)?;
    }
    Ok(entries)
}

fn add(path: &Path, to: &str, entries: &mut Vec<Entry>) -> Result<()> {
    if path.is_file() {
        entries.push(Entry {
            path: to.to_owned(),
            bytes: fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            executable: false,
        });
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The test data is listed by itself: the tutorials' tables stay out. Files such as .shed.yml are for those who publish.
        if name != "test-data" && !name.starts_with('.') {
            add(&entry.path(), &format!("{to}/{name}"), entries)?;
        }
    }
    Ok(())
}

/// That wrappers and recipes ask for the version that is released.
pub fn check_versions(root: &Path, version: &str) -> Result<()> {
    for (file, line) in [
        (
            "galaxy-tools/macros.xml",
            format!("<token name=\"@TOOL_VERSION@\">{version}</token>"),
        ),
        (
            "packaging/conda/meta.yaml",
            format!("{{% set version = \"{version}\" %}}"),
        ),
        ("packaging/Containerfile", format!("ARG VERSION={version}")),
    ] {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            text.lines().any(|found| found.trim() == line),
            "{file} is not of version {version}: there is no line {line}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository;

    #[test]
    fn everything_is_of_one_version() {
        check_versions(&repository::root(), env!("CARGO_PKG_VERSION")).unwrap();
        let error = check_versions(&repository::root(), "99.0").unwrap_err();
        assert!(
            error.to_string().contains("macros.xml is not of version 99.0"),
            "{error}"
        );
    }

    #[test]
    fn the_archive_has_the_wrappers_with_their_macros_and_small_test_data() {
        let entries = collect(&repository::root()).unwrap();
        let has = |path: &str| entries.iter().any(|entry| entry.path == path);
        for path in [
            "galaxy-tools/keras_train_and_eval.xml",
            "galaxy-tools/sklearn_to_categorical.xml",
            "galaxy-tools/macros.xml",
            "galaxy-tools/test-data/models/classifier.zip",
            "published/tools.txt",
            "published/keras_model_builder.xml",
            "published/macros.xml",
            "published/test-data/models/classifier_config.json",
            "docs/installing.md",
            "packaging/tpv/galaxy_burn.yml",
            "LICENSE",
        ] {
            assert!(has(path), "{path} is missing");
        }
        assert!(!entries.iter().any(|entry| entry.path.contains("mnist")));
        let size: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        assert!(size < 2_000_000, "{size} bytes");
    }

    /// What the container and the archive are called by, the wrappers must ask for.
    #[test]
    fn wrappers_recipe_and_container_name_the_same_package() {
        let root = repository::root();
        let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
        assert!(
            read("galaxy-tools/macros.xml")
                .contains("<requirement type=\"package\" version=\"@TOOL_VERSION@\">galaxy-burn</requirement>")
        );
        assert!(read("packaging/conda/meta.yaml").contains("name: galaxy-burn\n"));
        assert!(read("packaging/Containerfile").contains("org.opencontainers.image.title=\"galaxy-burn\""));
    }
}
