//! `cargo xtask bench --layers` and `--shapes`: training steps of small models, here and in Keras.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::tutorials::seeds::median;
use crate::workflow::{Line, run_measured};
use crate::{cargo, repository};

/// The program that times ours.
const PROGRAM: &str = "layer_speed";

/// Milliseconds a step by the model's name, in the order of the table.
type Milliseconds = Map<String, Value>;

/// Runs the models of `file` here and there in turn and prints the table; our program is in `binaries`, or built.
pub fn run(file: &str, peers: &[PathBuf], rounds: u64, binaries: Option<&Path>) -> Result<()> {
    let ours = match binaries {
        Some(directory) => directory.join(PROGRAM),
        None => build(&[])?,
    };
    let script = repository::root().join("crates/layer-speed/layers_in_keras.py");
    let mut columns: Vec<(String, Vec<Milliseconds>)> = vec![("galaxy-burn".to_owned(), Vec::new())];
    for peer in peers {
        columns.push((version(peer)?, Vec::new()));
    }
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        columns[0].1.push(printed(
            Command::new(&ours)
                .arg(file)
                .env("GALAXY_SLOTS", repository::slots().to_string()),
        )?);
        for (peer, column) in peers.iter().zip(&mut columns[1..]) {
            column.1.push(printed(Command::new(peer).arg(&script).arg(file))?);
        }
    }
    println!("\n{}", table(&columns));
    Ok(())
}

/// Runs the models of `file` in all the ways in which ours can compute, and prints the table.
pub fn run_ways(file: &str, rounds: u64, binaries: Option<&Path>) -> Result<()> {
    const WAYS: [(&str, &str, &str); 4] = [
        ("ndarray, AVX-512", "ndarray", "avx512"),
        ("flex, AVX-512", "flex", "avx512"),
        ("ndarray, AVX2", "ndarray", "avx2"),
        ("ndarray, SSE2", "ndarray", "portable"),
    ];
    let ours = match binaries {
        Some(directory) => directory.join(PROGRAM),
        None => build(&["--features", "flex"])?,
    };
    let mut columns: Vec<(String, Vec<Milliseconds>)> =
        WAYS.iter().map(|(name, ..)| ((*name).to_owned(), Vec::new())).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for ((_, backend, instructions), column) in WAYS.iter().zip(&mut columns) {
            let mut command = ours_on(&ours, file);
            command
                .env("BENCH_BACKEND", backend)
                .env("BENCH_INSTRUCTIONS", instructions);
            column.1.push(printed(&mut command)?);
        }
    }
    println!("\n{}", table(&columns));
    Ok(())
}

fn ours_on(program: &Path, file: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(file).env("GALAXY_SLOTS", repository::slots().to_string());
    command
}

/// `Keras 2.15.0`.
fn version(python: &Path) -> Result<String> {
    let mut command = Command::new(python);
    command.args(["-c", "import keras; print('Keras', keras.__version__)"]);
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed.lines().last().map(str::to_owned);
    line.filter(|line| line.starts_with("Keras")).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "{} has no Keras: {}",
            python.display(),
            errors.lines().last().unwrap_or_default()
        )
    })
}

/// Builds the program that times ours.
fn build(options: &[&str]) -> Result<PathBuf> {
    let mut command = cargo::cargo();
    command.args(["build", "--release", "--package", "galaxy-burn-layer-speed"]);
    // Other features are other builds of Burn: in a directory of their own they leave the usual build alone.
    let directory = repository::target().join(if options.is_empty() { "" } else { "bench/ways" });
    command.args(options).arg("--target-dir").arg(&directory);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "layer_speed does not build ({status})");
    Ok(directory.join("release").join(PROGRAM))
}

/// The JSON line that a program prints.
fn printed(command: &mut Command) -> Result<Milliseconds> {
    let (mut line, mut last_error) = (String::new(), String::new());
    let name = Path::new(command.get_program()).display().to_string();
    let finished = run_measured(command, |seen| match seen {
        Line::Stdout(text) if text.starts_with('{') => line = text,
        Line::Stdout(_) => {}
        Line::Stderr(text) => last_error = text,
    })?;
    if !finished.status.success() {
        bail!("{name} failed ({}): {last_error}", finished.status);
    }
    serde_json::from_str(&line).with_context(|| format!("{name} printed no JSON line but {line:?}"))
}

/// A Markdown table: a row a model, the medians of all columns, and of the rounds' ratios of ours to each peer and to the faster one; a dash
/// where a peer does not have the model's layers any more.
fn table(columns: &[(String, Vec<Milliseconds>)]) -> String {
    let Some(((_, ours), peers)) = columns.split_first() else {
        return String::new();
    };
    let mut text = "| training step, ms".to_owned();
    for (who, _) in columns {
        let _ = write!(text, " | {who}");
    }
    for (who, _) in peers {
        let _ = write!(text, " | against {who}");
    }
    let several = peers.len() > 1;
    if several {
        text.push_str(" | against the faster");
    }
    let width = columns.len() + peers.len() + usize::from(several);
    let _ = writeln!(text, " |\n|---{}|", "|---".repeat(width));
    let known = |value: f64, shown: fn(f64) -> String| {
        if value.is_finite() {
            shown(value)
        } else {
            "–".to_owned()
        }
    };
    let times = |ratio: f64| format!("{ratio:.1} x");
    let of = |rounds: &[Milliseconds], name: &str| -> Vec<f64> {
        rounds.iter().filter_map(|round| round.get(name)?.as_f64()).collect()
    };
    for name in ours.first().into_iter().flat_map(Map::keys) {
        let _ = write!(text, "| {name}");
        for (_, rounds) in columns {
            let _ = write!(
                text,
                " | {}",
                known(median(&of(rounds, name)), |time| format!("{time:.2}"))
            );
        }
        let mut best = vec![f64::INFINITY; ours.len()];
        for (_, rounds) in peers {
            let pairs = of(ours, name).into_iter().zip(of(rounds, name));
            let ratios: Vec<f64> = pairs.map(|(ours, peer)| peer / ours).collect();
            best.iter_mut()
                .zip(&ratios)
                .for_each(|(best, ratio)| *best = best.min(*ratio));
            let _ = write!(text, " | {}", known(median(&ratios), times));
        }
        if several {
            let _ = write!(text, " | {}", known(median(&best), times));
        }
        text.push_str(" |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let rounds = |times: [f64; 3]| -> Vec<Milliseconds> {
            let round = |time: f64| json!({"Conv1D": time}).as_object().cloned().unwrap_or_default();
            times.map(round).into()
        };
        let columns = [
            ("ours".to_owned(), rounds([1.0, 2.0, 4.0])),
            ("Keras".to_owned(), rounds([4.0, 8.0, 8.0])),
        ];
        let expected = "\
| training step, ms | ours | Keras | against Keras |
|---|---|---|---|
| Conv1D | 2.00 | 8.00 | 4.0 x |
";
        assert_eq!(table(&columns), expected);
    }

    #[test]
    fn a_model_that_a_peer_cannot_build_has_a_dash() {
        let round = |value: Value| vec![value.as_object().cloned().unwrap_or_default()];
        let columns = [
            ("ours".to_owned(), round(json!({"LocallyConnected1D": 2.0}))),
            ("old".to_owned(), round(json!({"LocallyConnected1D": 5.0}))),
            ("new".to_owned(), round(json!({}))),
        ];
        let alone = [columns[0].clone(), columns[2].clone(), columns[2].clone()];
        let last = table(&alone).lines().last().map(str::to_owned);
        assert_eq!(
            last.as_deref(),
            Some("| LocallyConnected1D | 2.00 | – | – | – | – | – |")
        );
        let expected = "\
| training step, ms | ours | old | new | against old | against new | against the faster |
|---|---|---|---|---|---|---|
| LocallyConnected1D | 2.00 | 5.00 | – | 2.5 x | – | 2.5 x |
";
        assert_eq!(table(&columns), expected);
    }

    #[test]
    fn of_two_peers_the_faster_in_each_round_counts() {
        let rounds = |times: [f64; 3]| -> Vec<Milliseconds> {
            let round = |time: f64| json!({"Conv1D": time}).as_object().cloned().unwrap_or_default();
            times.map(round).into()
        };
        let columns = [
            ("ours".to_owned(), rounds([1.0, 1.0, 1.0])),
            ("one".to_owned(), rounds([2.0, 9.0, 9.0])),
            ("other".to_owned(), rounds([9.0, 9.0, 3.0])),
        ];
        let expected = "\
| training step, ms | ours | one | other | against one | against other | against the faster |
|---|---|---|---|---|---|---|
| Conv1D | 1.00 | 9.00 | 9.00 | 9.0 x | 9.0 x | 3.0 x |
";
        assert_eq!(table(&columns), expected);
    }
}
