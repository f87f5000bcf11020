//! Running a Galaxy workflow without Galaxy.
//!
//! The wrappers' command lines hold no logic, so a job is: a JSON file in, one command, named files out. This module reads a `.ga`
//! and the wrappers, makes that JSON as Galaxy does, runs the commands in order and collects their outputs. Whatever it does not
//! support is an error that names the step.

mod command;
mod filter;
mod ga;
mod job;
mod measured;
mod published;
mod run;
mod sanitizer;
mod state;
mod wrapper;
mod xml;

pub use job::JobReport;
pub use measured::{Line, run_measured};
pub use published::read as published_tools;
pub use run::{Observer, Override, Runner};
