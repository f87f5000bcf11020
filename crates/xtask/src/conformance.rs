//! `cargo xtask conformance`: our networks held to Keras's own, case by case.
//!
//! The cases and the comparison are the example `conformance` of the core, which is built with the features that the tests are built
//! with. This command makes it a Python with Keras 2.15, builds it, runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::cargo;
use crate::repository;
use crate::test::BACKENDS;

/// What pip installs.
const REQUIREMENTS: &str = "packaging/keras-requirements.txt";
/// Where the page lies.
const PAGE: &str = "docs/conformance.md";

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Random models beyond the cases that each option needs
    #[arg(long)]
    cases: Option<usize>,
    /// What is drawn
    #[arg(long)]
    seed: Option<u64>,
    /// Only this kind of case (layers, stacks, ...) or this layer
    #[arg(long, value_name = "KIND|LAYER")]
    only: Option<String>,
    /// A Python with Keras 2.15, instead of one that is made in target/conformance
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Processes that run Keras
    #[arg(long)]
    jobs: Option<usize>,
    /// Writes docs/conformance.md
    #[arg(long)]
    page: bool,
}

/// Compares, and fails when something does not agree.
///
/// # Errors
/// Python, the example or the comparison fails.
pub fn run(args: &Args) -> Result<()> {
    let python = match &args.python {
        Some(python) => std::path::absolute(python)?,
        None => environment()?,
    };
    let mut command = Command::new(build()?);
    command.current_dir(repository::root()).arg("--python").arg(python);
    let numbers = [
        ("--cases", args.cases.map(|cases| cases.to_string())),
        ("--seed", args.seed.map(|seed| seed.to_string())),
        ("--jobs", Some(args.jobs.unwrap_or_else(repository::slots).to_string())),
        ("--only", args.only.clone()),
        ("--page", args.page.then(|| PAGE.to_owned())),
    ];
    for (name, value) in numbers {
        command.args(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
    }
    let status = command.status().context("cannot start the comparison")?;
    ensure!(status.success(), "not everything agrees with Keras (see above)");
    Ok(())
}

/// Builds the example and returns its path.
fn build() -> Result<PathBuf> {
    let status = cargo()
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--features",
            BACKENDS,
            "--example",
            "conformance",
        ])
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "the comparison does not build (cargo build: {status})"
    );
    Ok(repository::target().join("debug/examples/conformance"))
}

/// A virtual environment with Keras 2.15; made unless it is there already, with the same requirements.
fn environment() -> Result<PathBuf> {
    let directory = repository::target().join("conformance/keras-2.15");
    let python = directory.join("bin/python");
    let requirements = repository::root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let installed = directory.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let base = interpreter()?;
    println!("installing Keras 2.15 into {}", directory.display());
    passes(Command::new(&base).args(["-m", "venv", "--clear"]).arg(&directory))?;
    passes(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "-r",
            ])
            .arg(&requirements),
    )?;
    // Last, so that an installation that broke off is made anew.
    fs::write(&installed, wanted).with_context(|| installed.display().to_string())?;
    Ok(python)
}

/// A Python that TensorFlow 2.15 has wheels for.
fn interpreter() -> Result<PathBuf> {
    for name in ["python3.11", "python3.10", "python3.9", "python3"] {
        let version = Command::new(name)
            .args(["-c", "import ensurepip, sys; print(sys.version_info[1])"])
            .output();
        let minor = version.ok().filter(|output| output.status.success());
        let minor = minor.and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok());
        if minor.is_some_and(|minor| (9..=11).contains(&minor)) {
            return Ok(Path::new(name).to_owned());
        }
    }
    bail!(
        "Keras 2.15 needs Python 3.9, 3.10 or 3.11 with its module venv; install one, or give a Python with Keras by --python"
    )
}

fn passes(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}
