//! A Keras model as a running network.
//!
//! `kernels` are plain functions on slices, each with its own backward; with the feature `engine` they are hung into Burn's autodiff.

pub mod kernels;
pub mod threads;
