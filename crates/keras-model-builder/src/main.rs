//! `keras_model_builder --inputs FILE`: joins a model configuration with the form's parameters, or with weights, to `estimator.zip`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use galaxy_burn_core::tool::keras_model_builder;

/// Create deep learning model: writes estimator.zip and, if asked for, params.tabular into the working directory.
#[derive(Parser)]
#[command(name = "keras_model_builder", version)]
struct Arguments {
    /// The form's parameters as Galaxy writes them: one JSON object
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match keras_model_builder::run(&arguments.inputs, Path::new("")) {
        Ok(summary) => {
            // The summary is a courtesy: a closed pipe does not make the estimator worse.
            let _ = std::io::stdout().write_all(summary.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = error.exit_code();
            eprintln!("error: {}", one_line(&anyhow::Error::new(error)));
            ExitCode::from(code)
        }
    }
}

/// The error and its causes in one line; causes that the error tells already are left out.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() {
                cause
            } else {
                format!("{line}: {cause}")
            };
        }
    }
    line.replace(['\n', '\r'], " ")
}
