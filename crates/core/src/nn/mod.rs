//! A Keras model as a running network.
//!
//! `kernels` are plain functions on slices, each with its own backward; with the feature `engine` they are hung into Burn's autodiff
//! as [`operation`]s, `layers` makes Keras's layers of them, and a [`network::Network`] is a model of such layers with its weights.

pub mod kernels;
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
pub mod weight;
