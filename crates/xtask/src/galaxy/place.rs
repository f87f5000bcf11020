//! Where a Galaxy's files lie: everything is below `target/galaxy/`.

use std::path::{Path, PathBuf};

use crate::repository;

/// `target/galaxy`.
pub fn root() -> PathBuf {
    repository::target().join("galaxy")
}

/// Galaxy's own virtual environment.
pub fn galaxy_environment() -> PathBuf {
    root().join("environment-galaxy")
}

/// Planemo's virtual environment. It stands alone, because Galaxy and planemo want different versions of the same packages.
pub fn planemo_environment() -> PathBuf {
    root().join("environment-planemo")
}

/// A program of a virtual environment.
pub fn program(environment: &Path, name: &str) -> PathBuf {
    environment.join("bin").join(name)
}

/// The Galaxy that `start` serves. What its users made is kept from one start to the next.
pub fn kept_server() -> PathBuf {
    root().join("start")
}

/// The Galaxy that `test` runs against, made anew each time.
pub fn test_server() -> PathBuf {
    root().join("test")
}

/// What goes to a Tool Shed.
pub fn archives() -> PathBuf {
    root().join("archives")
}

/// What planemo reports.
pub fn reports() -> PathBuf {
    root().join("reports")
}
