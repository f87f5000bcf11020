//! The hot loops: plain functions on `&[f32]`, channels last, each with a hand-written backward. They know nothing of Burn, of
//! layers or of models.

pub mod activation;
pub mod batch_norm;
pub mod conv;
pub mod dense;
pub mod embedding;
pub mod gemm;
pub mod loss;
pub mod pool;
pub mod recurrent;
#[cfg(test)]
mod testing;
pub mod window;
