//! `cargo xtask test`: everything that can be checked without a Galaxy, cheapest first.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::repository;
use crate::tutorials;
use crate::workflow::{Line, run_measured};

/// Both of Burn's CPU backends: the tests pass on each.
pub const BACKENDS: &str = "galaxy-burn-core/ndarray,galaxy-burn-core/flex";

/// What proptest draws its cases from: the same in each run of all checks, so that a change is judged by what it changes. A bare `cargo
/// test` draws others each time.
const CASES_SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261121");

/// How to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the programs are that run the workflows, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

struct Check {
    name: &'static str,
    run: fn(&Args, &mut Vec<String>) -> Result<()>,
}

const CHECKS: [Check; 7] = [
    Check {
        name: "formatting",
        run: |_, _| passes(cargo().args(["fmt", "--all", "--check"])),
    },
    Check {
        name: "the wrappers' form against the catalogue of layers",
        run: |_, _| passes(itself()?.args(["wrappers", "--check"])),
    },
    Check {
        name: "clippy",
        run: |_, _| {
            passes(cargo().args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--features",
                BACKENDS,
                "--",
                "-D",
                "warnings",
            ]))
        },
    },
    Check {
        name: "documentation",
        run: |_, _| {
            passes(
                cargo()
                    .args([
                        "doc",
                        "--quiet",
                        "--workspace",
                        "--no-deps",
                        "--document-private-items",
                        "--features",
                        BACKENDS,
                    ])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        },
    },
    Check {
        name: "unit and integration tests, on both backends",
        run: |_, summaries| unit_tests(summaries),
    },
    Check {
        name: "the tutorials' workflows on the bundled data",
        run: |args, _| tutorials::run(&tutorials::Args::bundled_and_asserted(false, args.bin.clone())),
    },
    Check {
        name: "the published tools' workflows of both generations on the bundled data",
        run: |args, _| tutorials::run(&tutorials::Args::bundled_and_asserted(true, args.bin.clone())),
    },
];

/// Runs all checks up to the first that fails. The last lines are the test runners' own counts.
pub fn run(args: &Args) -> Result<()> {
    let mut summaries = Vec::new();
    for check in &CHECKS {
        println!("== {}", check.name);
        let start = Instant::now();
        let result = (check.run)(args, &mut summaries);
        println!(
            "== {}: {} after {:.0} s",
            check.name,
            if result.is_ok() { "good" } else { "failed" },
            start.elapsed().as_secs_f64()
        );
        result.with_context(|| format!("check failed: {}", check.name))?;
    }
    for line in &summaries {
        println!("{line}");
    }
    println!("{}", Counts::of(&summaries));
    Ok(())
}

fn passes(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    Ok(())
}

/// Another command of this program, in the repository's root.
fn itself() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's file")?);
    command.current_dir(repository::root());
    Ok(command)
}

/// Passes cargo's output on and keeps the lines with the counts.
fn unit_tests(summaries: &mut Vec<String>) -> Result<()> {
    let finished = run_measured(
        cargo()
            .args(["test", "--workspace", "--features", BACKENDS])
            .env(CASES_SEED.0, CASES_SEED.1),
        |line| match line {
            Line::Stdout(text) => {
                println!("{text}");
                if text.starts_with("test result:") {
                    summaries.push(text);
                }
            }
            Line::Stderr(text) => eprintln!("{text}"),
        },
    )?;
    if !finished.status.success() {
        bail!("{}", Counts::of(summaries));
    }
    Ok(())
}

/// Tests counted over all binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds up lines like `test result: ok. 39 passed; 0 failed; 1 ignored; ...`.
    fn of(summaries: &[String]) -> Self {
        let mut counts = Self::default();
        for line in summaries {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let number = pair[0].parse::<u64>().unwrap_or(0);
                match pair[1].trim_end_matches(';') {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.ignored += number,
                    _ => {}
                }
            }
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_binaries() {
        let lines = [
            "test result: ok. 39 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.21s".to_owned(),
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s"
                .to_owned(),
        ];
        assert_eq!(Counts::of(&lines).to_string(), "41 passed, 3 failed, 1 ignored");
    }
}
