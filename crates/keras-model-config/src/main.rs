//! `keras_model_config --inputs FILE`: writes the Keras model JSON that the form describes to `model.json`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::tool::keras_model_config;

/// Create a deep learning model architecture: writes model.json into the working directory.
#[derive(Parser)]
#[command(name = "keras_model_config", version)]
struct Arguments {
    /// The form's parameters as Galaxy writes them: one JSON object
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match keras_model_config::run(&arguments.inputs, Path::new("")) {
        Ok(table) => {
            // The table is a courtesy: a closed pipe does not make the model worse.
            let _ = std::io::stdout().write_all(table.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", error.in_one_line());
            ExitCode::from(error.exit_code())
        }
    }
}
