//! `cargo xtask bench --layers`: training steps of small models, a kind of layer each, here and in Keras.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::tutorials::seeds::median;
use crate::workflow::{Line, run_measured};
use crate::{cargo, repository};

/// Milliseconds a step by the model's name, in the order of the table.
type Milliseconds = Map<String, Value>;

/// Runs both in turn and prints the table.
pub fn run(peers: &[PathBuf], rounds: u64) -> Result<()> {
    let ours = build()?;
    let script = repository::root().join("crates/core/benches/layers_in_keras.py");
    let mut columns: Vec<(String, Vec<Milliseconds>)> = vec![("galaxy-burn".to_owned(), Vec::new())];
    columns.extend(peers.iter().map(|peer| (peer.display().to_string(), Vec::new())));
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        columns[0].1.push(printed(&mut Command::new(&ours))?);
        for (peer, column) in peers.iter().zip(&mut columns[1..]) {
            column.1.push(printed(Command::new(peer).arg(&script))?);
        }
    }
    println!("\n{}", table(&columns));
    Ok(())
}

/// Builds the example that times ours.
fn build() -> Result<PathBuf> {
    let mut command = cargo::cargo();
    command.args([
        "build",
        "--release",
        "--package",
        "galaxy-burn-core",
        "--example",
        "layer_speed",
    ]);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the example does not build ({status})");
    Ok(repository::target().join("release/examples/layer_speed"))
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

/// A Markdown table: a row a model, the medians of all columns, and of the rounds' ratios of ours to each peer.
fn table(columns: &[(String, Vec<Milliseconds>)]) -> String {
    let Some(((_, ours), peers)) = columns.split_first() else {
        return String::new();
    };
    let mut text = "| training step, ms".to_owned();
    for (who, _) in columns {
        let _ = write!(text, " | {who}");
    }
    for (who, _) in peers {
        let _ = write!(text, " | times the time of {who}");
    }
    let _ = writeln!(text, " |\n|---{}|", "|---".repeat(columns.len() + peers.len()));
    let of = |rounds: &[Milliseconds], name: &str| -> Vec<f64> {
        rounds.iter().filter_map(|round| round.get(name)?.as_f64()).collect()
    };
    for name in ours.first().into_iter().flat_map(Map::keys) {
        let _ = write!(text, "| {name}");
        for (_, rounds) in columns {
            let _ = write!(text, " | {:.2}", median(&of(rounds, name)));
        }
        for (_, rounds) in peers {
            let pairs = of(ours, name).into_iter().zip(of(rounds, name));
            let ratios: Vec<f64> = pairs.map(|(ours, peer)| ours / peer).collect();
            let _ = write!(text, " | {:.2}", median(&ratios));
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
| training step, ms | ours | Keras | times the time of Keras |
|---|---|---|---|
| Conv1D | 2.00 | 8.00 | 0.25 |
";
        assert_eq!(table(&columns), expected);
    }
}
