//! `SimpleRNN`, one step of some rows.
//!
//! ```text
//! h' = phi(x W + b + h U)        dz = dh' phi'(h')    dh = dz U^T
//! ```
//!
//! Kept is `h'`; `dz` takes its place.

use super::activation;
use super::step::{Backward, Forward};
use crate::keras::activation::Activation;
use crate::nn::kernels::simd::Isa;

/// From both projections to the state.
pub(super) fn forward(activation: Activation, isa: Isa, step: &mut Forward<'_>) {
    for r in 0..step.n {
        let (kept, h, _) = step.row(r);
        activation::apply(activation, isa, kept);
        h.copy_from_slice(kept);
    }
}

/// From the state's gradient to that of the sum.
pub(super) fn backward(activation: Activation, step: &mut Backward<'_>) {
    let u = step.units;
    for r in 0..step.n {
        let (kept, _, dh, _) = step.row(r);
        activation::backward(activation, kept, &mut dh[..u]);
        kept.copy_from_slice(&dh[..u]);
    }
}
