//! Measuring a peer: a script that prints one JSON line.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::figures::Figures;
use crate::tutorials::catalogue::Tutorial;
use crate::workflow::{Line, run_measured};

/// The script's JSON line.
#[derive(Debug, Deserialize)]
struct Printed {
    keras: String,
    seconds: Seconds,
    fit_rows_per_s: f64,
    predict_rows_per_s: f64,
    accuracy: f64,
    peak_mb: f64,
}

#[derive(Debug, Deserialize)]
struct Seconds {
    read: f64,
    fit: f64,
    predict: f64,
}

/// Runs the script on a tutorial once. The whole time is measured from outside, start of the interpreter included.
pub fn measure(python: &Path, script: &Path, tutorial: &Tutorial, data: &Path, epochs: Option<u64>) -> Result<Figures> {
    ensure!(
        script.is_file(),
        "there is no peer script {}; give --peer-script",
        script.display()
    );
    let mut command = Command::new(python);
    command.arg(script).arg(tutorial.name).arg(data.join(tutorial.data));
    if let Some(epochs) = epochs {
        command.arg("--epochs").arg(epochs.to_string());
    }
    let (mut printed, mut last_error) = (String::new(), String::new());
    let finished = run_measured(&mut command, |line| match line {
        Line::Stdout(text) if text.starts_with('{') => printed = text,
        Line::Stdout(_) => {}
        Line::Stderr(text) => last_error = text,
    })?;
    if !finished.status.success() {
        bail!("the peer failed ({}): {last_error}", finished.status);
    }
    figures(&printed, finished.seconds)
}

fn figures(printed: &str, whole_seconds: f64) -> Result<Figures> {
    let it: Printed =
        serde_json::from_str(printed).with_context(|| format!("the peer printed no JSON line but {printed:?}"))?;
    Ok(Figures {
        who: format!("Keras {}", it.keras),
        fit_rows_per_second: it.fit_rows_per_s,
        predict_rows_per_second: it.predict_rows_per_s,
        read_seconds: it.seconds.read,
        fit_seconds: it.seconds.fit,
        predict_seconds: it.seconds.predict,
        whole_seconds,
        peak_mb: it.peak_mb,
        accuracy: it.accuracy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_line_is_read() {
        let line = r#"{"tutorial": "cnn", "keras": "2.15.0", "seconds": {"import": 3.1, "read": 2.0, "build": 0.1, "fit": 21.5, "predict": 1.0},
            "total": 28.0, "fit_rows_per_s": 4440.0, "predict_rows_per_s": 9770.0, "accuracy": 0.947, "confusion": [[1]], "peak_mb": 1600}"#;
        let it = figures(line, 29.0).unwrap();
        assert_eq!(
            (it.who.as_str(), it.fit_seconds, it.whole_seconds, it.peak_mb),
            ("Keras 2.15.0", 21.5, 29.0, 1600.0)
        );
        assert!(figures("", 1.0).unwrap_err().to_string().contains("no JSON line"));
    }
}
