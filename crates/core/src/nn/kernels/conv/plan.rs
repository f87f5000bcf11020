//! Which way a convolution is computed.

use super::direct::Prepared;
use super::kernel_gradient::KernelGradient;
use super::winograd::{self, Winograd, WinogradGradient};
use super::{ConvGeometry, FEWEST_CHUNKS};
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
        let most = threads::share(rows, geometry.cost(rows));
        match self {
            Self::Direct(_) if geometry.is_large() => chunk_rows.max(geometry.rows_of_few_windows().min(most)),
            Self::Direct(_) => chunk_rows,
            Self::Winograd(winograd) => winograd.chunk_rows(rows, chunk_rows, most),
        }
    }

    /// Writes `y = patches(x) kernel + bias` for the rows in `x`, on the calling thread. `ahead` are rows that it will be called with next:
    /// Winograd's tiles bring them into the cache meanwhile, the direct way makes no use of them.
    pub fn forward(&self, x: &[f32], ahead: &[f32], y: Unset<f32>) {
        match self {
            Self::Direct(prepared) => prepared.forward(x, y),
            Self::Winograd(winograd) => winograd.forward(x, ahead, y),
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
            Self::Winograd(WinogradGradient::new(geometry, 0..geometry.filters))
        } else {
            Self::Direct(KernelGradient::new(geometry))
        }
    }

    /// The direct way, and how many values of the patch are one part of a gradient that is cut for the threads instead of the rows: one so
    /// large that to zero and to add one for each group of rows would take as long as the products.
    pub fn in_parts(&self, geometry: &ConvGeometry) -> Option<(&KernelGradient, usize)> {
        /// A multiple of all register tiles.
        const TILES: usize = 12;
        match self {
            Self::Direct(direct) if geometry.is_large() => {
                let taps = geometry.patch_len().div_ceil(FEWEST_CHUNKS).next_multiple_of(TILES);
                Some((direct, taps))
            }
            _ => None,
        }
    }

    /// Adds `patches(x)ᵀ dy` to `dk` `[patch, filters]` for the rows in `x`, on the calling thread.
    pub fn add(&self, geometry: &ConvGeometry, x: &[f32], dy: &[f32], dk: &mut [f32]) {
        match self {
            Self::Direct(direct) => direct.add(geometry, x, dy, 0, dk),
            Self::Winograd(winograd) => winograd.add(x, dy, dk),
        }
    }
}
