//! `cargo xtask galaxy ...`: a real Galaxy on this machine, with the tools in it.
//!
//! Galaxy and planemo come from `PyPI`, every package pinned; no checkout, conda or container is needed. Everything is below
//! `target/galaxy/`, and no server outlives the command that started it.

mod api;
mod install;
mod keeper;
mod leftovers;
mod lesson;
mod lint;
mod place;
mod planemo;
mod published;
mod screenshots;
mod serve;
mod server;
mod settings;
mod shed;
mod stage;
mod suite;
mod summary;
mod toolbox;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::cargo;

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs Galaxy and planemo (about 4 minutes and 1.7 GB, once)
    Install,
    /// Serves a Galaxy with the tools, the tutorials' bundled data and workflows, until Ctrl-C
    Start(serve::Args),
    /// Stops the Galaxy that `start` serves
    Stop,
    /// Opens the Galaxy that `start` serves in the browser
    Open,
    /// Tests every tool and workflow in a Galaxy of its own
    Test(suite::Args),
    /// Lints the wrappers, their Tool Shed metadata and the workflows
    Lint,
    /// Takes pictures of the forms and of the tutorials' results in Chromium, and fills in a form by hand
    Screenshots(screenshots::Args),
    /// Builds the archives for a Tool Shed, one per tool and the suite's
    Archives,
    #[command(hide = true)]
    Keep(keeper::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.task {
        Task::Install => install::both()?,
        Task::Start(args) => serve::start(args)?,
        Task::Stop => serve::stop()?,
        Task::Open => serve::open()?,
        Task::Test(args) => suite::run(args)?,
        Task::Lint => {
            install::planemo()?;
            let mut summary = summary::Summary::default();
            lint::all(&mut summary);
            summary.finish()?;
        }
        Task::Screenshots(args) => screenshots::run(args)?,
        Task::Archives => {
            install::planemo()?;
            println!("{}", shed::build()?.display());
        }
        Task::Keep(args) => return keeper::run(args),
    }
    Ok(ExitCode::SUCCESS)
}

/// The directory with the programs: the one that was named, or freshly built.
fn programs(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(directory) => directory
            .canonicalize()
            .with_context(|| format!("there is no {}", directory.display())),
        None => cargo::build_tools(),
    }
}
