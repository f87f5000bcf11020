//! Holds galaxy-burn's networks to Keras's: draws cases from a seed, computes each here, on every backend, and in Keras, and compares.
//!
//! `cargo xtask conformance` builds and runs this with a Python that has Keras 2.15, and says more.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small numbers: rows, sizes and ids of cases"
)]

mod case;
mod chance;
mod deviation;
mod fit;
mod function;
mod keras;
mod layer;
mod model;
mod optimizer;
mod random;
mod report;
mod run;
mod tensor;
mod vocabulary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Holds the networks to Keras's
#[derive(Debug, Parser)]
struct Args {
    /// A Python with Keras 2.15
    #[arg(long)]
    python: PathBuf,
    /// Random cases beyond those that each option needs
    #[arg(long, default_value_t = 60)]
    cases: usize,
    /// What is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this kind, or this layer or optimizer
    #[arg(long)]
    only: Option<String>,
    /// Processes that run Keras
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes the page with the largest deviations
    #[arg(long)]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run::run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
