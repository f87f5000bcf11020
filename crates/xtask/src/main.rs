//! `cargo xtask ...`: the commands of the people who work on or try out galaxy-burn.

mod bench;
mod cargo;
mod conformance;
mod data;
mod dist;
mod galaxy;
mod repository;
mod test;
mod test_data;
mod tutorials;
mod workflow;
mod wrappers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Commands of galaxy-burn's repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs the three tutorials end to end, through their workflows and the tools
    Tutorials(tutorials::Args),
    /// Downloads the tutorials' real data from Zenodo
    Data(data::Args),
    /// Checks everything that can be checked without a Galaxy
    Test(test::Args),
    /// A real Galaxy on this machine: to look at, and to test the tools in
    Galaxy(galaxy::Args),
    /// Measures whole tutorials, and compares them with Keras
    Bench(bench::Args),
    /// Makes the release archive: programs, wrappers, checksums
    Dist(dist::Args),
    /// Holds models, losses, optimizers, metrics and callbacks to Keras 2.15
    Conformance(conformance::Args),
    /// Writes the part of the wrappers' form that follows from the catalogue of layers
    Wrappers(wrappers::Args),
    /// Makes the small data that tests and a first look need
    TestData(test_data::Args),
}

fn run(task: &Task) -> Result<ExitCode> {
    match task {
        Task::Tutorials(args) => tutorials::run(args)?,
        Task::Data(args) => data::run(args)?,
        Task::Test(args) => test::run(args)?,
        Task::Galaxy(args) => return galaxy::run(args),
        Task::Bench(args) => bench::run(args)?,
        Task::Dist(args) => dist::run(args)?,
        Task::Conformance(args) => conformance::run(args)?,
        Task::Wrappers(args) => wrappers::run(args)?,
        Task::TestData(args) => test_data::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
