//! Which way a convolution is computed.

use super::ConvGeometry;
use super::direct::Prepared;
use super::kernel_gradient::KernelGradient;
use super::winograd::{self, Winograd, WinogradGradient};
use crate::nn::threads::{self, Unset};

/// A convolution with its kernel and bias made ready for a batch.
pub enum Plan {
    /// Straight from the input: every geometry.
    Direct(Prepared),
    /// 3x3 and 5x5 with some channels and filters.
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

    /// How many of `rows` rows make one chunk of work.
    pub fn chunk_rows(&self, geometry: &ConvGeometry, rows: usize, result: usize) -> usize {
        let chunk_rows = geometry.chunk_rows(rows, result);
        match self {
            Self::Direct(_) => chunk_rows,
            Self::Winograd(winograd) => {
                let most = threads::share(rows, geometry.cost(rows));
                winograd.chunk_rows(rows, chunk_rows, most)
            }
        }
    }

    /// Writes `y = patches(x) kernel + bias` for the rows in `x`, on the calling thread.
    pub fn forward(&self, x: &[f32], y: Unset<f32>) {
        match self {
            Self::Direct(prepared) => prepared.forward(x, y),
            Self::Winograd(winograd) => winograd.forward(x, y),
        }
    }
}

/// How the kernel's gradient is computed.
pub enum GradientPlan {
    /// Straight from the input: every geometry.
    Direct(KernelGradient),
    /// 3x3 and 5x5 with some channels and filters.
    Winograd(WinogradGradient),
}

impl GradientPlan {
    /// The fastest way for a geometry, summed over `rows` rows at a time.
    pub fn new(geometry: &ConvGeometry, rows: usize) -> Self {
        if winograd::suits_gradient(geometry, rows) {
            Self::Winograd(WinogradGradient::new(geometry))
        } else {
            Self::Direct(KernelGradient::new(geometry))
        }
    }

    /// Adds `patches(x)ᵀ dy` to `dk` `[patch, filters]` for the rows in `x`, on the calling thread.
    pub fn add(&self, geometry: &ConvGeometry, x: &[f32], dy: &[f32], dk: &mut [f32]) {
        match self {
            Self::Direct(direct) => {
                let rows = x.chunks_exact(geometry.input_len());
                for (x, dy) in rows.zip(dy.chunks_exact(geometry.output_len())) {
                    direct.add(x, dy, dk);
                }
            }
            Self::Winograd(winograd) => winograd.add(x, dy, dk),
        }
    }
}
