//! Which way a convolution is computed.

use super::ConvGeometry;
use super::direct::Prepared;
use super::winograd::{self, Winograd};

/// A convolution with its kernel and bias made ready for a batch.
pub enum Plan {
    /// Straight from the input: every geometry.
    Direct(Prepared),
    /// 3x3 with some channels and filters.
    Winograd(Winograd),
}

impl Plan {
    /// The fastest way for a geometry.
    pub fn new(geometry: &ConvGeometry, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        if winograd::suits(geometry) {
            Self::Winograd(Winograd::new(geometry, kernel, bias))
        } else {
            Self::Direct(Prepared::new(geometry, kernel, bias))
        }
    }

    /// `y = patches(x) kernel + bias` for the rows in `x`, on the calling thread.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Direct(prepared) => prepared.forward(x, y),
            Self::Winograd(winograd) => winograd.forward(x, y),
        }
    }
}
