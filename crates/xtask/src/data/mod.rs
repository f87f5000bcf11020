//! `cargo xtask data DIR`: the tutorials' real data from their Zenodo records.

mod download;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::tutorials::catalogue::{self, LABELS, Tutorial};
use download::{Downloader, Progress};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the data goes: DIR/{leukemia,imdb,mnist}/{X,y}_{train,test}.tsv
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Server to ask instead of Zenodo, with the same paths (a mirror)
    #[arg(long, value_name = "URL", default_value = "https://zenodo.org")]
    base_url: String,
    /// Only this tutorial's data: intro, rnn or cnn
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Runs the command. Whole files that are already there are kept; a transfer that broke off goes on where it stopped.
pub fn run(args: &Args) -> Result<()> {
    fetch_all(&Downloader::default(), args)
}

fn fetch_all(downloader: &Downloader, args: &Args) -> Result<()> {
    for tutorial in catalogue::chosen(args.only.as_deref())? {
        for label in LABELS {
            fetch(downloader, tutorial, label, &args.directory, &args.base_url)
                .with_context(|| format!("{label}.tsv of the tutorial {}", tutorial.name))?;
        }
    }
    println!("done: cargo xtask tutorials --data {}", args.directory.display());
    Ok(())
}

fn fetch(downloader: &Downloader, tutorial: &Tutorial, label: &str, directory: &Path, base_url: &str) -> Result<()> {
    let file = tutorial.file(directory, label);
    let rows = if label.ends_with("train") {
        tutorial.rows.0
    } else {
        tutorial.rows.1
    };
    let lines = rows + u64::from(tutorial.header);
    let whole = |path: &Path| table::check(path, lines);
    if file.is_file() {
        whole(&file).with_context(|| {
            format!(
                "{} is there, but it is not the tutorial's table; remove it to download it again",
                file.display()
            )
        })?;
        println!("{} is already there", file.display());
        return Ok(());
    }
    let place = file.parent().context("the file lies in no directory")?;
    std::fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    let url = format!(
        "{}/records/{}/files/{label}.tsv?download=1",
        base_url.trim_end_matches('/'),
        tutorial.zenodo
    );
    let bar = Bar::new(format!("{}/{label}.tsv", tutorial.data));
    let bytes = downloader.fetch(&url, &file, &bar, &whole)?;
    bar.0.finish_and_clear();
    println!("{}: {bytes} bytes, {rows} rows", file.display());
    Ok(())
}

/// A progress bar; where output is no terminal, it stays silent.
struct Bar(ProgressBar);

impl Bar {
    fn new(name: String) -> Self {
        let bar = ProgressBar::new(0).with_message(name);
        let template = "{msg} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn at(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }

    fn trouble(&self, what: &str) {
        self.0.suspend(|| eprintln!("{what}"));
    }
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
