//! Measuring ours: the tutorial's workflow, with the phases as the tools print them.

use std::path::Path;

use anyhow::{Context, Result};

use super::figures::Figures;
use crate::tutorials::catalogue::Tutorial;
use crate::tutorials::outcome::{self, Changes, Outcome};
use crate::workflow::{JobReport, Runner};

/// The share of rows that the tutorials hold out for validation.
const HELD_OUT: f64 = 0.2;

/// Runs the workflow once.
pub fn measure(runner: &Runner, tutorial: &Tutorial, data: &Path, out: &Path, epochs: Option<u64>) -> Result<Figures> {
    let outcome = outcome::run(runner, tutorial, data, out, Changes { seed: None, epochs }, false)?;
    figures(&outcome, tutorial, data).with_context(|| format!("figures of {}", tutorial.name))
}

fn figures(outcome: &Outcome, tutorial: &Tutorial, data: &Path) -> Result<Figures> {
    let job = |tool: &str| {
        outcome
            .job(tool)
            .with_context(|| format!("the workflow has no {tool} step"))
    };
    let epochs = job("keras_model_builder")?.params["mode_selection"]["fit_params"]["epochs"]
        .as_f64()
        .context("the builder step has no epochs")?;
    let (training, prediction) = (job("keras_train_and_eval")?, job("model_prediction")?);
    let (fit, predict) = (phase(training, "fit")?, phase(prediction, "predict")?);
    let rows = rows(&tutorial.file(data, "X_train"), tutorial.header)?;
    let fitted = rows - (rows * HELD_OUT).ceil();
    Ok(Figures {
        who: "galaxy-burn".to_owned(),
        fit_rows_per_second: fitted * epochs / fit,
        predict_rows_per_second: self::rows(&tutorial.file(data, "X_test"), tutorial.header)? / predict,
        read_seconds: phase(training, "read")? + phase(prediction, "read")?,
        fit_seconds: fit,
        predict_seconds: predict,
        whole_seconds: outcome.seconds(),
        peak_mb: outcome.peak_mb().unwrap_or(f64::NAN),
        accuracy: outcome.evaluation.accuracy(),
    })
}

/// Seconds of one phase from the tool's line `timing: read 0.123 s, fit 1.234 s, ...`.
fn phase(job: &JobReport, name: &str) -> Result<f64> {
    timing(&job.stdout, name).with_context(|| format!("{} printed no line \"timing: ... {name} N s ...\"", job.tool_id))
}

fn timing(stdout: &str, name: &str) -> Option<f64> {
    let line = stdout
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("timing:"))?;
    let part = line
        .split(',')
        .map(str::trim)
        .find_map(|part| part.strip_prefix(name)?.strip_prefix(' '))?;
    part.strip_suffix(" s")?.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn rows(table: &Path, header: bool) -> Result<f64> {
    let bytes = std::fs::read(table).with_context(|| format!("cannot read {}", table.display()))?;
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    Ok(lines.saturating_sub(usize::from(header)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_from_the_timing_line() {
        let stdout = "epoch 1/2 - 12.3 s\ntiming: read 0.123 s, fit 1.234 s, evaluate 0.045 s\nsaved\n";
        assert_eq!(timing(stdout, "fit"), Some(1.234));
        assert_eq!(timing(stdout, "read"), Some(0.123));
        assert_eq!(timing(stdout, "predict"), None);
        assert_eq!(timing("fit 1 s", "fit"), None);
    }

    #[test]
    fn a_header_is_no_row() {
        let directory = tempfile::tempdir().unwrap();
        let table = directory.path().join("t.tsv");
        std::fs::write(&table, "a\n1\n2").unwrap();
        assert!((rows(&table, true).unwrap() - 2.0).abs() < f64::EPSILON);
        assert!((rows(&table, false).unwrap() - 3.0).abs() < f64::EPSILON);
    }
}
