//! `cargo xtask test-data`: makes `test-data/`, the small data that tests and a first look at the tutorials need.
//!
//! Nothing in it is copied from anywhere: tables are drawn by seeded generators in the shapes of the tutorials' data, and the
//! models are written by the tools themselves. The same sources give the same bytes on every machine, so the command is run
//! again only when a generator or a file format changes.

mod digits;
mod expression;
mod models;
mod random;
mod reviews;
mod samples;

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where to write, and with which programs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory to write to.
    #[arg(long, value_name = "DIR", default_value = "test-data")]
    out: PathBuf,
    /// Write only the tables, without building and running the tools that write the models.
    #[arg(long)]
    tables_only: bool,
    /// Where the programs are, instead of building them.
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

/// Writes all tables and, unless told not to, the models.
///
/// # Errors
///
/// A file cannot be written, or a tool cannot be built or fails.
pub fn run(args: &Args) -> Result<()> {
    let files = tables();
    for (name, text) in &files {
        let path = args.out.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{} tables in {}", files.len(), args.out.display());
    if !args.tables_only {
        let written = models::write(&args.out, args.bin.as_deref())?;
        println!("{written} models in {}", args.out.join(models::DIRECTORY).display());
    }
    Ok(())
}

/// Every table: its path below `test-data/` and its text.
fn tables() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut tutorial = |name: &str, tables: Tutorial| {
        files.push((format!("{name}/X_train.tsv"), tables.train_features));
        files.push((format!("{name}/y_train.tsv"), tables.train_labels));
        files.push((format!("{name}/X_test.tsv"), tables.test_features));
        files.push((format!("{name}/y_test.tsv"), tables.test_labels));
    };
    tutorial("leukemia", expression::tables());
    tutorial("mnist", digits::tables());
    tutorial("imdb", reviews::tables());
    files.extend(
        samples::tables()
            .into_iter()
            .map(|(name, text)| (format!("tables/{name}"), text)),
    );
    files
}

/// The four tables of a tutorial.
struct Tutorial {
    train_features: String,
    train_labels: String,
    test_features: String,
    test_labels: String,
}

/// One table line: the values between tabs.
fn line<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let mut line = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            line.push('\t');
        }
        line.push_str(&value.to_string());
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn table<'a>(tables: &'a [(String, String)], name: &str) -> &'a str {
        &tables
            .iter()
            .find(|(path, _)| path == name)
            .unwrap_or_else(|| panic!("no table {name}"))
            .1
    }

    /// Rows and columns; all rows have the same number of columns.
    fn shape(text: &str) -> (usize, usize) {
        let widths: Vec<usize> = text.lines().map(|row| row.split('\t').count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "ragged rows");
        (widths.len(), widths[0])
    }

    #[test]
    fn tables_have_the_shapes_of_the_tutorials_data() {
        let tables = tables();
        // Expression with a header line, pictures and reviews without.
        assert_eq!(shape(table(&tables, "leukemia/X_train.tsv")), (39, 7129));
        assert_eq!(shape(table(&tables, "leukemia/y_test.tsv")), (35, 1));
        assert_eq!(shape(table(&tables, "mnist/X_train.tsv")).1, 784);
        assert_eq!(shape(table(&tables, "imdb/X_test.tsv")).1, 500);
        for name in ["leukemia", "mnist", "imdb"] {
            for part in ["train", "test"] {
                let rows = |axis: &str| shape(table(&tables, &format!("{name}/{axis}_{part}.tsv"))).0;
                assert_eq!(rows("X"), rows("y"), "{name} {part}");
            }
        }
    }

    #[test]
    fn values_are_in_the_ranges_of_the_tutorials_data() {
        let tables = tables();
        let numbers = |name: &str| -> Vec<i32> {
            table(&tables, name)
                .split_ascii_whitespace()
                .map(|value| value.parse().expect("an integer"))
                .collect()
        };
        assert!(
            numbers("mnist/X_train.tsv")
                .iter()
                .all(|pixel| (0..=255).contains(pixel))
        );
        assert!(numbers("mnist/X_train.tsv").contains(&255));
        assert!(
            numbers("imdb/X_train.tsv")
                .iter()
                .all(|word| (0..10_000).contains(word))
        );
        let mut digits = numbers("mnist/y_train.tsv");
        digits.sort_unstable();
        digits.dedup();
        assert_eq!(digits, (0..10).collect::<Vec<i32>>());
    }

    #[test]
    fn committed_tables_are_the_generated_ones() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-data");
        for (name, text) in tables() {
            let committed = fs::read_to_string(root.join(&name)).unwrap_or_default();
            assert!(
                committed == text,
                "test-data/{name} differs: run `cargo xtask test-data`"
            );
        }
    }

    #[test]
    fn no_table_is_larger_than_a_megabyte() {
        for (name, text) in tables() {
            assert!(text.len() < 1 << 20, "{name}: {} bytes", text.len());
        }
    }
}
