//! The hot loops: plain functions on `&[f32]`, channels last, each with a hand-written backward. They know nothing of Burn, of
//! layers or of models.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a kernel's entry is compiled for its instruction set"
)]

pub mod activation;
pub mod batch_norm;
pub mod conv;
pub mod dense;
pub mod embedding;
pub mod gemm;
pub mod loss;
mod max_pool;
pub mod pool;
pub mod recurrent;
pub mod simd;
#[cfg(test)]
mod testing;
pub mod window;
