//! Python environments with what is measured against, each made once under `target/bench`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::repository;

/// The Kerases that people would run instead, by the generation in their requirements' names.
const GENERATIONS: [&str; 2] = ["keras2", "keras3"];

/// The interpreters of both environments; what is not there yet is installed.
pub fn peers() -> Result<Vec<PathBuf>> {
    GENERATIONS.iter().map(|name| ready(name)).collect()
}

fn ready(name: &str) -> Result<PathBuf> {
    let directory = repository::target().join("bench").join(name);
    let python = directory.join("bin/python");
    let installed = directory.join("installed");
    let requirements = repository::root().join(format!("packaging/bench-{name}-requirements.txt"));
    let wanted = std::fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    eprintln!("installing {} (once)", requirements.display());
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-r",
    ];
    succeeds(Command::new(&python).args(pip).arg(&requirements))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

fn succeeds(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(status.success(), "{command:?} failed ({status})");
    Ok(())
}
