//! `cargo xtask bench`: whole tutorials (or small models) against what people would run instead, in turn in one run.
//!
//! Machines are shared and change their speed within minutes, so each round runs the peers and ours one after the other, and what is
//! quoted is the median of the rounds' ratios.

mod figures;
mod layers;
mod machine;
mod ours;
mod peer;
mod venv;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tutorials::catalogue::{self, Tutorial};
use crate::tutorials::outcome;
use crate::{cargo, repository};
use figures::Figures;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct Args {
    /// Python with Keras, pandas and scikit-learn; may be given several times. Without any, Keras 2 and Keras 3 are installed under
    /// target/bench
    #[arg(long = "peer", value_name = "PYTHON")]
    peers: Vec<PathBuf>,
    /// The same tutorials in Keras: prints one JSON line
    #[arg(long, value_name = "FILE")]
    peer_script: Option<PathBuf>,
    /// Directory with the real data, as `cargo xtask data` makes it; without it, the small bundled tables are used
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Small models, a kind of layer each, instead of the tutorials
    #[arg(long)]
    layers: bool,
    /// Models of many shapes that no tutorial has, instead of the tutorials
    #[arg(long, conflicts_with = "layers")]
    shapes: bool,
    /// With --layers or --shapes: ours alone, on both of Burn's backends and with each instruction set
    #[arg(long)]
    ways: bool,
    /// Measure ours alone
    #[arg(long, conflicts_with = "peers")]
    alone: bool,
    /// Only this tutorial: intro, rnn or cnn
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Where the programs are, instead of building them; with --layers and --shapes `layer_speed` too, with --ways one with both backends
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
    /// Rounds; medians are reported
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Epochs, instead of the tutorial's own
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let file = if args.shapes { "shapes.json" } else { "layers.json" };
    if args.ways {
        println!("{}\n", machine::description());
        return layers::run_ways(file, args.rounds, args.bin.as_deref());
    }
    if args.layers || args.shapes {
        let peers = peers(args)?;
        println!("{}\n", machine::description());
        return layers::run(file, &peers, args.rounds, args.bin.as_deref());
    }
    let tutorials = catalogue::chosen(args.only.as_deref())?;
    let data = args
        .data
        .clone()
        .unwrap_or_else(|| repository::root().join("test-data"));
    for tutorial in &tutorials {
        tutorial.check_files(&data)?;
    }
    let script = args
        .peer_script
        .clone()
        .unwrap_or_else(|| repository::root().join("../shared/peers/keras_tutorials.py"));
    let peers = peers(args)?;
    println!("{}\n", machine::description());
    let binaries = args.bin.clone().map_or_else(cargo::build_tools, Ok)?;
    let runner = outcome::runner(&binaries)?;
    let out = repository::target().join("bench");
    let mut tables = Vec::new();
    for tutorial in tutorials {
        let mut measured: Vec<(String, Vec<Figures>)> = Vec::new();
        for round in 1..=args.rounds {
            for (number, python) in peers.iter().enumerate() {
                let figures = peer::measure(python, &script, tutorial, &data, args.epochs)
                    .with_context(|| format!("peer {} on {}", python.display(), tutorial.name))?;
                record(&mut measured, number, figures, tutorial, round);
            }
            let figures = ours::measure(&runner, tutorial, &data, &out.join(tutorial.name), args.epochs)?;
            record(&mut measured, peers.len(), figures, tutorial, round);
        }
        tables.push(figures::markdown(tutorial.name, &measured));
    }
    println!("\n{}", tables.join("\n"));
    if args.data.is_none() {
        println!("(on the small bundled tables, which say little about speed: give --data DIR)");
    }
    Ok(())
}

fn peers(args: &Args) -> Result<Vec<PathBuf>> {
    match (args.alone, args.peers.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, true) => venv::peers(),
        (false, false) => Ok(args.peers.clone()),
    }
}

fn record(
    measured: &mut Vec<(String, Vec<Figures>)>,
    column: usize,
    figures: Figures,
    tutorial: &Tutorial,
    round: u64,
) {
    eprintln!("{} round {round}: {}", tutorial.name, figures.in_short());
    if measured.len() <= column {
        measured.push((figures.who.clone(), Vec::new()));
    }
    measured[column].1.push(figures);
}
