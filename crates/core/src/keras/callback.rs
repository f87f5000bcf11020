//! Keras's training callbacks: their parameters, and the decisions they take after an epoch, as pure state machines.
//!
//! The decisions are those of Keras 2.15, which differ from 2.3.1 in two details of [`EarlyStopping`]: a baseline that is never
//! reached does not keep the best weights from being restored, and training never stops after the very first epoch.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parameter::{ParameterError, Parameters, Range};

/// The names of all callbacks, as the form spells them.
const NAMES: [&str; 5] = [
    "None",
    "EarlyStopping",
    "TerminateOnNaN",
    "ReduceLROnPlateau",
    "CSVLogger",
];

/// A callback with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "callback_type")]
pub enum Callback {
    /// No callback: the form's first choice.
    None,
    /// Stops when the watched value no longer improves.
    EarlyStopping(EarlyStopping),
    /// Stops as soon as a batch's loss is not a finite number.
    TerminateOnNaN,
    /// Lowers the learning rate when the watched value no longer improves.
    ReduceLROnPlateau(ReduceLrOnPlateau),
    /// Writes the history to a table.
    CSVLogger,
}

/// The value that a callback watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// The loss of the validation rows.
    ValLoss,
    /// The loss of the training rows.
    Loss,
}

impl Monitor {
    /// The value's name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ValLoss => "val_loss",
            Self::Loss => "loss",
        }
    }
}

/// In which direction the watched value improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By the value's name; a loss improves downwards.
    Auto,
    /// Downwards.
    Min,
    /// Upwards.
    Max,
}

impl Mode {
    /// Early stopping's comparison: `current`, moved by `min_delta`, is still better than `best`.
    ///
    /// Keras's two callbacks move different sides of the comparison, which is not the same in floating point.
    fn improves_by(self, min_delta: f64, current: f64, best: f64) -> bool {
        match self {
            Self::Max => current - min_delta > best,
            Self::Auto | Self::Min => current + min_delta < best,
        }
    }

    /// The comparison of the learning rate's reduction: `current` is better than `best` moved by `min_delta`.
    fn improves_on(self, current: f64, best: f64, min_delta: f64) -> bool {
        match self {
            Self::Max => current > best + min_delta,
            Self::Auto | Self::Min => current < best - min_delta,
        }
    }

    /// What any value improves on.
    fn worst(self) -> f64 {
        match self {
            Self::Max => f64::NEG_INFINITY,
            Self::Auto | Self::Min => f64::INFINITY,
        }
    }
}

/// Parameters of early stopping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// The watched value.
    pub monitor: Monitor,
    /// In which direction it improves.
    pub mode: Mode,
    /// By how much it has to improve to count.
    pub min_delta: f64,
    /// After how many epochs without improvement training stops.
    pub patience: u32,
    /// A value that has to be beaten for an improvement to count against the patience.
    pub baseline: Option<f64>,
    /// Whether the weights of the best epoch are put back when training stops early.
    pub restore_best_weights: bool,
}

/// Parameters of the learning rate's reduction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReduceLrOnPlateau {
    /// The watched value.
    pub monitor: Monitor,
    /// In which direction it improves.
    pub mode: Mode,
    /// What the rate is multiplied with; less than 1.
    pub factor: f64,
    /// After how many epochs without improvement the rate is lowered.
    pub patience: u32,
    /// By how much the value has to improve to count.
    pub min_delta: f64,
    /// How many epochs after a reduction do not count.
    pub cooldown: u32,
    /// The rate is never lowered beyond this.
    pub min_lr: f64,
}

/// What training has to do after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Decision {
    /// Keep a copy of the present weights: they are the best so far.
    pub keep_weights: bool,
    /// Stop training.
    pub stop: bool,
    /// Put back the weights that were kept last.
    pub restore_weights: bool,
    /// Go on with this learning rate.
    pub learning_rate: Option<f32>,
}

impl Callback {
    /// Reads one `callback_selection` of the form: `{"callback_type": "EarlyStopping", ...}`.
    ///
    /// # Errors
    /// An unknown callback, a parameter it does not have, a value out of range.
    pub fn from_form(selection: &Value) -> Result<Self, ParameterError> {
        let empty = serde_json::Map::new();
        let values = selection.as_object().unwrap_or(&empty);
        // "None" is a choice here, while everywhere else it says that a field was left empty.
        let name = values.get("callback_type").and_then(Value::as_str).unwrap_or("None");
        if !NAMES.contains(&name) {
            return Err(ParameterError::unknown("callback", name, &NAMES));
        }
        let mut fields = Parameters::new(format!("callback {name}"), values);
        fields.value("callback_type");
        let callback = match name {
            "EarlyStopping" => Self::EarlyStopping(EarlyStopping {
                monitor: monitor(&mut fields)?,
                mode: mode(&mut fields)?,
                min_delta: fields.number("min_delta", 0.0, Range::Finite)?.abs(),
                patience: fields.optional_count("patience", 0)?.unwrap_or(0),
                baseline: fields.optional_number("baseline", Range::Finite)?,
                restore_best_weights: fields.switch("restore_best_weights", false)?,
            }),
            "ReduceLROnPlateau" => Self::ReduceLROnPlateau(ReduceLrOnPlateau {
                monitor: monitor(&mut fields)?,
                mode: mode(&mut fields)?,
                factor: fields.number("factor", 0.1, Range::BelowOne)?,
                patience: fields.optional_count("patience", 0)?.unwrap_or(10),
                min_delta: fields.number("min_delta", 1e-4, Range::NotNegative)?,
                cooldown: fields.optional_count("cooldown", 0)?.unwrap_or(0),
                min_lr: fields.number("min_lr", 0.0, Range::NotNegative)?,
            }),
            "TerminateOnNaN" => Self::TerminateOnNaN,
            "CSVLogger" => Self::CSVLogger,
            _ => Self::None,
        };
        fields.finish()?;
        Ok(callback)
    }

    /// The callback's name in the form.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::EarlyStopping(_) => "EarlyStopping",
            Self::TerminateOnNaN => "TerminateOnNaN",
            Self::ReduceLROnPlateau(_) => "ReduceLROnPlateau",
            Self::CSVLogger => "CSVLogger",
        }
    }
}

fn monitor(fields: &mut Parameters<'_>) -> Result<Monitor, ParameterError> {
    match fields.text("monitor")? {
        None | Some("val_loss") => Ok(Monitor::ValLoss),
        Some("loss") => Ok(Monitor::Loss),
        Some(other) => Err(ParameterError::unknown(
            "value to monitor",
            other,
            &["val_loss", "loss"],
        )),
    }
}

fn mode(fields: &mut Parameters<'_>) -> Result<Mode, ParameterError> {
    match fields.text("mode")? {
        None | Some("auto") => Ok(Mode::Auto),
        Some("min") => Ok(Mode::Min),
        Some("max") => Ok(Mode::Max),
        Some(other) => Err(ParameterError::unknown("mode", other, &["auto", "min", "max"])),
    }
}

/// The running state of all callbacks of one training.
#[derive(Debug, Clone)]
pub struct Callbacks {
    watchers: Vec<Watcher>,
    terminate_on_nan: bool,
}

#[derive(Debug, Clone)]
enum Watcher {
    Stop(EarlyStoppingState),
    Reduce(ReduceLrState),
}

impl Callbacks {
    /// The state before the first epoch.
    #[must_use]
    pub fn new(callbacks: &[Callback]) -> Self {
        let watchers = callbacks.iter().filter_map(|callback| match callback {
            Callback::EarlyStopping(parameters) => Some(Watcher::Stop(EarlyStoppingState::new(*parameters))),
            Callback::ReduceLROnPlateau(parameters) => Some(Watcher::Reduce(ReduceLrState::new(*parameters))),
            Callback::None | Callback::TerminateOnNaN | Callback::CSVLogger => None,
        });
        Self {
            watchers: watchers.collect(),
            terminate_on_nan: callbacks.contains(&Callback::TerminateOnNaN),
        }
    }

    /// Whether training has to stop at once because a batch's loss is NaN or infinite.
    #[must_use]
    pub fn batch_end(&self, loss: f64) -> bool {
        self.terminate_on_nan && !loss.is_finite()
    }

    /// The decision after `epoch` (from 0). `log` looks a reported value up by its name; a value that is not reported is not watched,
    /// as in Keras. `learning_rate` is the rate of the epoch that has just ended.
    pub fn epoch_end(&mut self, epoch: usize, log: impl Fn(&str) -> Option<f64>, learning_rate: f32) -> Vec<Decision> {
        let mut rate = learning_rate;
        let mut decisions = Vec::with_capacity(self.watchers.len());
        for watcher in &mut self.watchers {
            let decision = match watcher {
                Watcher::Stop(state) => match log(state.parameters.monitor.name()) {
                    Some(current) => state.epoch_end(epoch, current),
                    None => Decision::default(),
                },
                Watcher::Reduce(state) => match log(state.parameters.monitor.name()) {
                    Some(current) => state.epoch_end(current, rate),
                    None => Decision::default(),
                },
            };
            rate = decision.learning_rate.unwrap_or(rate);
            decisions.push(decision);
        }
        decisions
    }
}

/// Early stopping between two epochs.
#[derive(Debug, Clone)]
pub struct EarlyStoppingState {
    parameters: EarlyStopping,
    best: f64,
    wait: u32,
    has_kept: bool,
}

impl EarlyStoppingState {
    /// The state before the first epoch.
    #[must_use]
    pub fn new(parameters: EarlyStopping) -> Self {
        Self {
            parameters,
            best: parameters.mode.worst(),
            wait: 0,
            has_kept: false,
        }
    }

    /// The decision after `epoch` (from 0), at whose end the watched value is `current`.
    pub fn epoch_end(&mut self, epoch: usize, current: f64) -> Decision {
        let EarlyStopping {
            mode,
            min_delta,
            patience,
            baseline,
            restore_best_weights,
            ..
        } = self.parameters;
        // The first epoch's weights are kept in any case, so that there is something to restore even if nothing ever improves.
        let mut decision = Decision {
            keep_weights: restore_best_weights && !self.has_kept,
            ..Decision::default()
        };
        self.wait += 1;
        if mode.improves_by(min_delta, current, self.best) {
            self.best = current;
            decision.keep_weights = restore_best_weights;
            if baseline.is_none_or(|baseline| mode.improves_by(min_delta, current, baseline)) {
                self.wait = 0;
            }
            self.has_kept |= decision.keep_weights;
            return decision;
        }
        self.has_kept |= decision.keep_weights;
        decision.stop = self.wait >= patience && epoch > 0;
        decision.restore_weights = decision.stop && restore_best_weights;
        decision
    }
}

/// The learning rate's reduction between two epochs.
#[derive(Debug, Clone)]
pub struct ReduceLrState {
    parameters: ReduceLrOnPlateau,
    best: f64,
    wait: u32,
    cooldown: u32,
}

impl ReduceLrState {
    /// The state before the first epoch.
    #[must_use]
    pub fn new(parameters: ReduceLrOnPlateau) -> Self {
        Self {
            parameters,
            best: parameters.mode.worst(),
            wait: 0,
            cooldown: 0,
        }
    }

    /// The decision after an epoch at whose end the watched value is `current` and the rate is `learning_rate`.
    pub fn epoch_end(&mut self, current: f64, learning_rate: f32) -> Decision {
        let ReduceLrOnPlateau {
            mode,
            factor,
            patience,
            min_delta,
            cooldown,
            min_lr,
            ..
        } = self.parameters;
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.wait = 0;
        }
        if mode.improves_on(current, self.best, min_delta) {
            self.best = current;
            self.wait = 0;
        } else if self.cooldown == 0 {
            self.wait += 1;
            // Keras holds the rate in f32 and compares it with the limit in f32.
            #[expect(clippy::cast_possible_truncation, reason = "the rate is an f32 in Keras")]
            if self.wait >= patience && learning_rate > min_lr as f32 {
                let lowered = (f64::from(learning_rate) * factor).max(min_lr);
                self.cooldown = cooldown;
                self.wait = 0;
                return Decision {
                    learning_rate: Some(lowered as f32),
                    ..Decision::default()
                };
            }
        }
        Decision::default()
    }
}
