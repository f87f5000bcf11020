//! `keras_train_and_eval --inputs FILE`: Trains and evaluates a Keras model on a table, as Galaxy's inputs JSON says.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::Result;
use galaxy_burn_core::galaxy::resources::Resources;
use galaxy_burn_core::nn::{memory, threads};
use galaxy_burn_core::tool::keras_train_and_eval;

/// Trains and evaluates a Keras model on a table, as Galaxy's inputs JSON says.
#[derive(Parser)]
#[command(name = "keras_train_and_eval", version)]
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
    threads::on_pool(|| keras_train_and_eval::run(inputs, Path::new(""), resources.memory_mb, &mut io::stdout().lock()))
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
