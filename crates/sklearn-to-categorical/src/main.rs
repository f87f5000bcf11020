//! `sklearn_to_categorical --inputs FILE`: Galaxy's To categorical as a native program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::tool::sklearn_to_categorical;

/// Turns a column of class numbers into one 0/1 column per class: writes categorical.tabular into the working directory.
#[derive(Parser)]
#[command(name = "sklearn_to_categorical", version)]
struct Arguments {
    /// The tool's parameters and the dataset's path as JSON, as Galaxy writes them
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match sklearn_to_categorical::run(&arguments.inputs, Path::new(""), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.in_one_line());
            ExitCode::from(error.exit_code())
        }
    }
}
