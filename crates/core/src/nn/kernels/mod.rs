//! The hot loops: plain functions on `&[f32]`, channels last, each with a hand-written backward. They know nothing of Burn, of
//! layers or of models.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a kernel's entry is compiled for its instruction set"
)]

pub mod activation;
mod average_pool;
pub mod axes;
pub mod batch_norm;
pub mod bias;
pub mod conv;
pub mod conv_lstm;
pub mod conv_transpose;
pub mod dense;
pub mod depthwise;
pub mod elementwise;
pub mod embedding;
pub mod gemm;
pub mod local;
pub mod loss;
mod max_pool;
pub mod merge;
mod nonzeros;
pub mod pool;
pub mod rectifier;
pub mod recurrent;
pub mod resize;
pub mod rows;
pub mod simd;
#[cfg(test)]
mod testing;
pub mod window;
