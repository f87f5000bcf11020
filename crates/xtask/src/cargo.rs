//! Calling cargo.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::repository;

/// The packages of the tools.
pub const TOOL_PACKAGES: [&str; 6] = [
    "galaxy-burn-keras-model-config",
    "galaxy-burn-keras-model-builder",
    "galaxy-burn-keras-train-and-eval",
    "galaxy-burn-model-prediction",
    "galaxy-burn-ml-visualization-ex",
    "galaxy-burn-sklearn-to-categorical",
];

/// The cargo that runs us, started in the repository's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository::root());
    command
}

/// Builds the tools' binaries in release mode and returns their directory.
pub fn build_tools() -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release"]);
    for package in TOOL_PACKAGES {
        command.args(["--package", package]);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "the tools do not build (cargo build --release: {status})"
    );
    Ok(repository::target().join("release"))
}
