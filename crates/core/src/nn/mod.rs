//! A Keras model as a running network.
//!
//! `kernels` are plain functions on slices, each with its own backward; with the feature `engine` they are hung into Burn's autodiff
//! as [`operation`]s, `layers` makes Keras's layers of them, and a [`network::Network`] is a model of such layers with its weights.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "the engine computes in f32 and sums in f64, compares with exact zeros and ones, and writes formulas with their letters"
)]

pub mod kernels;
pub mod memory;
pub mod threads;

#[cfg(feature = "engine")]
pub mod device;
#[cfg(feature = "engine")]
mod host;
#[cfg(feature = "engine")]
mod initialize;
#[cfg(feature = "engine")]
pub mod layer;
#[cfg(feature = "engine")]
mod layers;
#[cfg(feature = "engine")]
mod loss;
#[cfg(feature = "engine")]
pub mod network;
#[cfg(feature = "engine")]
pub mod operation;
#[cfg(feature = "engine")]
pub mod random;
#[cfg(feature = "engine")]
mod size;
#[cfg(feature = "engine")]
pub mod weight;
