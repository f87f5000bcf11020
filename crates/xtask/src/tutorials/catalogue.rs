//! The three tutorials: where their workflow and their data are, and what they must reach.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

/// The files of a tutorial's data, under the labels of its workflow's inputs.
pub const LABELS: [&str; 4] = ["X_train", "y_train", "X_test", "y_test"];

/// What the test accuracy must be.
#[derive(Debug, Clone, Copy)]
pub struct Required {
    /// No run may be below.
    pub floor: f64,
    /// Nor the median of several runs.
    pub median: f64,
}

/// One tutorial.
#[derive(Debug, Clone, Copy)]
pub struct Tutorial {
    pub name: &'static str,
    /// The workflow's file name in `workflows/`.
    pub workflow: &'static str,
    /// The data's directory, in `test-data/` or in the directory that the user gives.
    pub data: &'static str,
    /// The Zenodo record that publishes the data.
    pub zenodo: u32,
    /// Rows of the training and test tables.
    pub rows: (u64, u64),
    /// Whether those tables start with a line of names.
    pub header: bool,
    /// The seed of `--assert` when none is given.
    pub seed: u64,
    /// On the tutorial's data.
    pub real: Required,
    /// On the small tables in `test-data/`. They tell learning from guessing, no more.
    pub bundled: Required,
    /// Epochs on those tables, where the tutorial's own are too few: two epochs of 450 digits at 500 a batch are two steps.
    pub bundled_epochs: Option<u64>,
}

/// In the order in which they run.
pub const TUTORIALS: [Tutorial; 3] = [
    Tutorial {
        name: "intro",
        workflow: "intro_deep_learning.ga",
        data: "leukemia",
        zenodo: 3_706_539,
        rows: (38, 34),
        header: true,
        seed: 1,
        real: Required {
            floor: 0.0,
            median: 27.0 / 34.0,
        },
        bundled: Required {
            floor: 0.7,
            median: 0.7,
        },
        bundled_epochs: None,
    },
    Tutorial {
        name: "rnn",
        workflow: "rnn.ga",
        data: "imdb",
        zenodo: 4_477_881,
        rows: (25_000, 25_000),
        header: false,
        seed: 1,
        real: Required {
            floor: 0.80,
            median: 0.84,
        },
        bundled: Required {
            floor: 0.7,
            median: 0.7,
        },
        bundled_epochs: None,
    },
    Tutorial {
        name: "cnn",
        workflow: "cnn.ga",
        data: "mnist",
        zenodo: 4_697_906,
        rows: (60_000, 10_000),
        header: false,
        seed: 1,
        real: Required {
            floor: 0.93,
            median: 0.945,
        },
        bundled: Required {
            floor: 0.7,
            median: 0.7,
        },
        bundled_epochs: Some(40),
    },
];

/// The same tutorials as they would come from a public server: with the ids and forms of both generations of the published tools.
pub const PUBLISHED: [(&str, &str); 6] = [
    ("intro", "published/intro_deep_learning-1.0.8.2.ga"),
    ("intro", "published/intro_deep_learning-1.0.11.0.ga"),
    ("rnn", "published/rnn-1.0.8.3.ga"),
    ("rnn", "published/rnn-1.0.10.0.ga"),
    ("cnn", "published/cnn-1.0.8.3.ga"),
    ("cnn", "published/cnn-1.0.11.0.ga"),
];

impl Tutorial {
    /// The tutorial with each of the published workflows in place of its own.
    pub fn published(self) -> impl Iterator<Item = Self> {
        PUBLISHED
            .into_iter()
            .filter(move |(name, _)| *name == self.name)
            .map(move |(_, workflow)| Self { workflow, ..self })
    }

    /// What tells this tutorial's outputs from those of others: the workflow's file name.
    pub fn place(&self) -> &'static str {
        match self.workflow.strip_suffix(".ga").and_then(|path| path.rsplit_once('/')) {
            Some((_, published)) => published,
            None => self.name,
        }
    }

    /// The file of one of [`LABELS`], below the directory of all the data.
    pub fn file(&self, data: &Path, label: &str) -> PathBuf {
        data.join(self.data).join(format!("{label}.tsv"))
    }

    /// That all four files are there.
    pub fn check_files(&self, data: &Path) -> Result<()> {
        for (label, file) in self.files(data) {
            let missing = || {
                format!(
                    "{label} of the tutorial {} is not there: no file {}",
                    self.name,
                    file.display()
                )
            };
            ensure!(file.is_file(), missing());
        }
        Ok(())
    }

    /// All four files by label.
    pub fn files(&self, data: &Path) -> BTreeMap<String, PathBuf> {
        LABELS
            .iter()
            .map(|label| ((*label).to_owned(), self.file(data, label)))
            .collect()
    }
}

/// All tutorials, or the one of that name (the tutorial's or its data's).
pub fn chosen(only: Option<&str>) -> Result<Vec<&'static Tutorial>> {
    let chosen: Vec<_> = TUTORIALS
        .iter()
        .filter(|tutorial| only.is_none_or(|name| tutorial.name == name || tutorial.data == name))
        .collect();
    if chosen.is_empty() {
        bail!(
            "there is no tutorial {:?}, only {}",
            only.unwrap_or_default(),
            TUTORIALS.map(|tutorial| tutorial.name).join(", ")
        );
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tutorial_is_found_by_its_name_or_its_data() {
        assert_eq!(chosen(Some("mnist")).unwrap()[0].name, "cnn");
        assert_eq!(chosen(None).unwrap().len(), 3);
        let published: Vec<_> = chosen(None)
            .unwrap()
            .into_iter()
            .flat_map(|tutorial| tutorial.published())
            .collect();
        assert_eq!(published.len(), PUBLISHED.len());
        assert_eq!(published[5].place(), "cnn-1.0.11.0");
        assert_eq!(chosen(Some("cnn")).unwrap()[0].place(), "cnn");
        assert!(chosen(Some("fnn")).unwrap_err().to_string().contains("intro, rnn, cnn"));
    }
}
