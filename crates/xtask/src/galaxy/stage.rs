//! A copy of the wrappers as they lie in the repository that their metadata names.
//!
//! `planemo shed_lint` compares the end of the directory's path with the end of `remote_repository_url`, so that a checkout would pass
//! or fail by the name of its folder. It also follows no link to the test data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::place;
use crate::repository;

/// Makes the copy anew and returns the wrappers' directory in it.
pub fn wrappers() -> Result<PathBuf> {
    let branch = place::root().join("stage").join("main");
    if branch.exists() {
        fs::remove_dir_all(&branch).with_context(|| format!("cannot remove {}", branch.display()))?;
    }
    let wrappers = branch.join("galaxy-tools");
    copy(&repository::root().join("galaxy-tools"), &wrappers)?;
    copy(&repository::root().join("test-data"), &branch.join("test-data"))?;
    Ok(wrappers)
}

/// Copies files and directories, but not what links point to.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {}", entry.path().display()))?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
