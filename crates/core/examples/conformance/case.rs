//! What every kind of case can do.

use std::fmt::Debug;

use anyhow::Result;
use burn::tensor::Device;

use crate::deviation::Quantity;
use crate::keras::Keras;

/// One option of one layer, optimiser, ... with the value it has in a case: a line of the page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// `layers`, `optimizers`, ...
    pub kind: &'static str,
    /// `Conv2D`, `Adam`, ...
    pub owner: String,
    /// `padding`.
    pub option: String,
    /// `'same'`.
    pub value: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Each quantity that was compared, with its deviation.
    pub deviations: Vec<(Quantity, f64)>,
    /// What does not agree, in words.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Notes a deviation, and a failure when it is beyond the quantity's tolerance.
    pub fn compare(&mut self, quantity: Quantity, deviation: f64, what: impl FnOnce() -> String) {
        self.deviations.push((quantity, deviation));
        // Not a number is no agreement either.
        if deviation > quantity.tolerance() || deviation.is_nan() {
            self.failures.push(format!(
                "{} deviates by {deviation:.2e}, more than {:.0e}: {}",
                quantity.name(),
                quantity.tolerance(),
                what()
            ));
        }
    }

    /// Notes a failure.
    pub fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Holds two things to each other that must be the same.
    pub fn same<T: PartialEq + Debug>(&mut self, what: &str, ours: &T, keras: &T) {
        if ours != keras {
            self.fail(format!("{what}: {ours:?}, in Keras {keras:?}"));
        }
    }
}

/// What a comparison needs.
pub struct Judge {
    /// Keras.
    pub keras: Keras,
    /// Burn's backends: the same case runs on each.
    pub devices: Vec<(&'static str, Device)>,
    /// Where files may be written.
    pub directory: tempfile::TempDir,
}

/// A case: something that is computed here and by Keras, and compared.
pub trait Case: Debug + Send + Sync {
    /// The lines of the page that it tells about.
    fn labels(&self) -> Vec<Label>;

    /// The case in a few lines that one can reproduce it from.
    fn describe(&self) -> String;

    /// Computes it here and there and compares.
    ///
    /// # Errors
    /// When the comparison itself breaks.
    fn judge(&self, judge: &mut Judge) -> Result<Outcome>;

    /// Smaller cases that may show the same, the smallest step first.
    fn smaller(&self) -> Vec<Box<dyn Case>>;
}
