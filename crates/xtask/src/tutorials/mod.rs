//! `cargo xtask tutorials`: the three tutorials end to end, through the workflows, the wrappers and the real binaries.

pub mod catalogue;
mod evaluation;
pub mod outcome;
pub mod seeds;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workflow::Runner;
use crate::{cargo, repository};
use catalogue::{Required, Tutorial};
use outcome::{Changes, Outcome};

/// Arguments of the command.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Directory with the real data, as `cargo xtask data` makes it; without it, the small bundled tables are used
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this tutorial: intro, rnn or cnn
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The workflows with the ids and forms of the published tools, of both generations, instead of this suite's own
    #[arg(long)]
    published: bool,
    /// Seed of the weights, the shuffling and the split
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "repeat"])]
    seed: Option<u64>,
    /// Runs once per seed from A to B (inclusive) and tells the median and the worst
    #[arg(long, value_name = "A..B", value_parser = seeds::parse_range, conflicts_with = "repeat")]
    seeds: Option<seeds::Range>,
    /// Runs N times, with the seeds 1 to N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    repeat: Option<u64>,
    /// Epochs, instead of the tutorial's own
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Fails unless the accuracies are as good as they must be; without --seed, with one fixed seed
    #[arg(long = "assert")]
    asserted: bool,
    /// Where the programs are, instead of building them
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
    /// Where the steps' output files go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    /// The epochs to train for, where they are not the workflow's own.
    fn epochs_of(&self, tutorial: &Tutorial) -> Option<u64> {
        let on_bundled_data = self.data.is_none();
        self.epochs.or(tutorial.bundled_epochs.filter(|_| on_bundled_data))
    }

    /// As `cargo xtask test` runs them: this suite's own workflows, or those of the published tools.
    pub fn bundled_and_asserted(published: bool, bin: Option<PathBuf>) -> Self {
        Self {
            bin,
            asserted: true,
            published,
            ..Self::default()
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let chosen = catalogue::chosen(args.only.as_deref())?.into_iter();
    let tutorials: Vec<Tutorial> = if args.published {
        chosen.flat_map(|tutorial| tutorial.published()).collect()
    } else {
        chosen.copied().collect()
    };
    let data = args
        .data
        .clone()
        .unwrap_or_else(|| repository::root().join("test-data"));
    for tutorial in &tutorials {
        tutorial.check_files(&data)?;
    }
    let binaries = args.bin.clone().map_or_else(cargo::build_tools, Ok)?;
    let runner = outcome::runner(&binaries)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| repository::target().join("tutorials"));
    let mut summary = Vec::new();
    let mut failures = Vec::new();
    for tutorial in &tutorials {
        let required = if args.data.is_some() {
            tutorial.real
        } else {
            tutorial.bundled
        };
        let place = out.join(tutorial.place());
        let accuracies = match args.seeds.clone().or_else(|| args.repeat.map(|count| 1..=count)) {
            None => vec![once(&runner, tutorial, &data, &place, args, &mut summary)?],
            Some(range) => several(&runner, tutorial, &data, &place, args, range, &mut summary)?,
        };
        if args.asserted {
            failures.extend(shortfall(tutorial, required, &accuracies));
        }
    }
    println!("\n{}", summary.join("\n"));
    println!("outputs of every step: {}", out.display());
    if !failures.is_empty() {
        bail!("accuracy too low: {}", failures.join("; "));
    }
    if args.asserted {
        println!("all accuracies are as good as they must be");
    }
    Ok(())
}

fn once(
    runner: &Runner,
    tutorial: &Tutorial,
    data: &std::path::Path,
    place: &std::path::Path,
    args: &Args,
    summary: &mut Vec<String>,
) -> Result<f64> {
    println!("\n== {} ({})", tutorial.name, tutorial.workflow);
    let epochs = args.epochs_of(tutorial);
    if let (Some(epochs), None) = (epochs, args.epochs) {
        println!(
            "{epochs} epochs instead of the tutorial's: the bundled tables are small (--epochs N for another number)"
        );
    }
    let seed = args.seed.or_else(|| args.asserted.then_some(tutorial.seed));
    let changes = Changes { seed, epochs };
    let outcome = outcome::run(runner, tutorial, data, place, changes, true)
        .with_context(|| format!("tutorial {}", tutorial.name))?;
    println!(
        "\n{}\n{}",
        steps_table(&outcome),
        outcome.evaluation.report().trim_end()
    );
    if let Some(picture) = outcome.job("ml_visualization_ex").and_then(|job| job.outputs.first()) {
        // The job's own file has the name that Galaxy collects it by, without the ending that picture viewers go by.
        let copy = place.join(format!("confusion_matrix.{}", picture.format));
        std::fs::copy(&picture.path, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
        println!("as a picture: {}", copy.display());
    }
    let (accuracy, seconds) = (outcome.evaluation.accuracy(), outcome.seconds());
    summary.push(format!(
        "{:<26}  accuracy {accuracy:.4}  {seconds:>7.2} s  peak {} MB",
        tutorial.place(),
        megabytes(outcome.peak_mb())
    ));
    Ok(accuracy)
}

fn several(
    runner: &Runner,
    tutorial: &Tutorial,
    data: &std::path::Path,
    place: &std::path::Path,
    args: &Args,
    range: seeds::Range,
    summary: &mut Vec<String>,
) -> Result<Vec<f64>> {
    println!("\n== {} ({}), one run per seed", tutorial.name, tutorial.workflow);
    let mut accuracies = Vec::new();
    for seed in range {
        let changes = Changes {
            seed: Some(seed),
            epochs: args.epochs_of(tutorial),
        };
        let outcome = outcome::run(
            runner,
            tutorial,
            data,
            &place.join(format!("seed-{seed}")),
            changes,
            false,
        )
        .with_context(|| format!("tutorial {}, seed {seed}", tutorial.name))?;
        let evaluation = &outcome.evaluation;
        println!(
            "seed {seed:>3}  accuracy {:.4} ({} of {})  {:.2} s  peak {} MB",
            evaluation.accuracy(),
            evaluation.right(),
            evaluation.total(),
            outcome.seconds(),
            megabytes(outcome.peak_mb())
        );
        accuracies.push(evaluation.accuracy());
    }
    summary.push(format!(
        "{:<26}  accuracy over {} seeds: median {:.4}, worst {:.4}, best {:.4}",
        tutorial.place(),
        accuracies.len(),
        seeds::median(&accuracies),
        accuracies.iter().copied().fold(f64::INFINITY, f64::min),
        accuracies.iter().copied().fold(0.0, f64::max),
    ));
    Ok(accuracies)
}

/// What is below the requirement, in words. A single run is held to the floor; where there is none, to what the median must reach.
fn shortfall(tutorial: &Tutorial, required: Required, accuracies: &[f64]) -> Vec<String> {
    const ROUNDING: f64 = 1e-9;
    let worst = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let median = seeds::median(accuracies);
    let mut failures = Vec::new();
    if worst < required.floor - ROUNDING {
        failures.push(format!(
            "{} reached {worst:.4}, {:.4} is the least",
            tutorial.name, required.floor
        ));
    }
    let median_counts = accuracies.len() > 1 || required.floor == 0.0;
    if median_counts && median < required.median - ROUNDING {
        failures.push(format!(
            "{} reached a median of {median:.4}, {:.4} is the least",
            tutorial.name, required.median
        ));
    }
    failures
}

fn steps_table(outcome: &Outcome) -> String {
    let widest = outcome
        .jobs
        .iter()
        .map(|job| job.label.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut lines = vec![format!(
        "{:<widest$}  {:>9}  {:>7}  outputs",
        "step", "seconds", "peak MB"
    )];
    for job in &outcome.jobs {
        let files: Vec<String> = job
            .outputs
            .iter()
            .map(|output| {
                format!(
                    "{} ({})",
                    output.path.file_name().unwrap_or_default().to_string_lossy(),
                    output.format
                )
            })
            .collect();
        lines.push(format!(
            "{:<widest$}  {:>9.3}  {:>7}  {}",
            job.label,
            job.seconds,
            megabytes(job.peak_mb),
            files.join(", ")
        ));
    }
    lines.push(format!(
        "{:<widest$}  {:>9.3}  {:>7}",
        "all",
        outcome.seconds(),
        megabytes(outcome.peak_mb())
    ));
    lines.join("\n") + "\n"
}

fn megabytes(peak: Option<f64>) -> String {
    peak.map_or_else(|| "-".to_owned(), |megabytes| format!("{megabytes:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tutorial(name: &str) -> &'static Tutorial {
        catalogue::chosen(Some(name)).unwrap()[0]
    }

    #[test]
    fn one_run_is_held_to_the_floor_and_several_to_the_median_too() {
        let cnn = tutorial("cnn");
        assert!(shortfall(cnn, cnn.real, &[0.931]).is_empty());
        assert_eq!(shortfall(cnn, cnn.real, &[0.929]).len(), 1);
        assert_eq!(
            shortfall(cnn, cnn.real, &[0.931, 0.94, 0.95]),
            ["cnn reached a median of 0.9400, 0.9450 is the least"]
        );
        assert_eq!(
            shortfall(cnn, cnn.real, &[0.92, 0.95, 0.96]),
            ["cnn reached 0.9200, 0.9300 is the least"]
        );
    }

    #[test]
    fn the_intro_has_no_floor_so_that_one_run_must_reach_the_median() {
        let intro = tutorial("intro");
        assert!(shortfall(intro, intro.real, &[27.0 / 34.0]).is_empty());
        assert_eq!(shortfall(intro, intro.real, &[26.0 / 34.0]).len(), 1);
        assert!(shortfall(intro, intro.real, &[0.5, 28.0 / 34.0, 29.0 / 34.0]).is_empty());
    }
}
