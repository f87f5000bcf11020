//! `model_prediction --inputs FILE`: Predicts new rows with a fitted Keras model, as Galaxy's inputs JSON says.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::Result;
use galaxy_burn_core::galaxy::resources::Resources;
use galaxy_burn_core::nn::{memory, threads};
use galaxy_burn_core::tool::model_prediction;

/// Predicts new rows with a fitted Keras model, as Galaxy's inputs JSON says.
#[derive(Parser)]
#[command(name = "model_prediction", version)]
struct Arguments {
    /// The tool's parameters and the datasets' paths as JSON, as Galaxy writes them
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
}

fn run(inputs: &Path) -> Result<()> {
    let resources = Resources::from_env();
    for warning in &resources.warnings {
        println!("warning: {warning}");
    }
    memory::keep_freed_memory();
    threads::init(resources.slots.get())?;
    threads::on_pool(|| model_prediction::run(inputs, Path::new(""), &mut io::stdout().lock()))
}

fn main() -> ExitCode {
    match run(&Arguments::parse().inputs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.in_one_line());
            ExitCode::from(error.exit_code())
        }
    }
}
