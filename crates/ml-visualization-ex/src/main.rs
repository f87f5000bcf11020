//! `ml_visualization_ex --inputs FILE`: Galaxy's Machine Learning Visualization as a native program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::tool::ml_visualization_ex;

/// Draws the confusion matrix of true and predicted class labels to the file `output` in the working directory.
#[derive(Parser)]
#[command(name = "ml_visualization_ex", version)]
struct Arguments {
    /// The tool's parameters and the datasets' paths as JSON, as Galaxy writes them
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match ml_visualization_ex::run(&arguments.inputs, Path::new(""), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.in_one_line());
            ExitCode::from(error.exit_code())
        }
    }
}
