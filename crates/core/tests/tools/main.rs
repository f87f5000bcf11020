//! The tools as Galaxy runs them: an inputs JSON in, files out; and what happens when the input is at fault.
#![cfg(feature = "engine")]
#![allow(
    clippy::cast_precision_loss,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "small tables made row by row"
)]

mod lab;
mod refusals;
mod splits;
mod training;
