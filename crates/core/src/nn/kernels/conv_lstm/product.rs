//! The convolutions of all four gates at once, or, where each gate has dropout factors of its own, one after the other.

use super::GATES;
use crate::nn::kernels::axes::{concatenate, piece};
use crate::nn::kernels::conv::{self, ConvGeometry};

/// A convolution by the filters of four gates.
pub struct Product<'a> {
    /// By the filters of one gate.
    geometry: ConvGeometry,
    /// `[window.., channels, 4 filters]`
    kernel: &'a [f32],
    /// `[4, batch, input..]`, repeated for every batch of rows.
    factors: Option<&'a [f32]>,
}

impl<'a> Product<'a> {
    pub fn new(geometry: ConvGeometry, kernel: &'a [f32], factors: Option<&'a [f32]>) -> Self {
        Self {
            geometry,
            kernel,
            factors,
        }
    }

    fn all_gates(&self) -> ConvGeometry {
        ConvGeometry {
            filters: GATES * self.geometry.filters,
            ..self.geometry
        }
    }

    /// One gate's part of values whose last axis holds all gates.
    fn gate(&self, values: &[f32], gate: usize) -> Vec<f32> {
        let filters = self.geometry.filters;
        piece(values, GATES * filters, gate * filters, filters)
    }

    /// The parts of all gates, put together along the last axis.
    fn together(&self, gates: &[Vec<f32>]) -> Vec<f32> {
        let parts: Vec<_> = gates.iter().map(|part| (&part[..], self.geometry.filters)).collect();
        concatenate(&parts)
    }

    /// Values of the input under the factors of a gate.
    fn scaled(factors: &[f32], gate: usize, x: &[f32]) -> Vec<f32> {
        let len = factors.len() / GATES;
        let factors = factors[gate * len..][..len].iter().cycle();
        x.iter().zip(factors).map(|(x, factor)| x * factor).collect()
    }

    /// `[rows, windows.., 4 filters]` for rows of the input.
    pub fn forward(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let Some(factors) = self.factors else {
            return conv::forward(&self.all_gates(), x, self.kernel, bias);
        };
        let gate = |gate| {
            let kernel = self.gate(self.kernel, gate);
            let bias = bias.map(|bias| self.gate(bias, gate));
            conv::forward(
                &self.geometry,
                &Self::scaled(factors, gate, x),
                &kernel,
                bias.as_deref(),
            )
        };
        self.together(&[0, 1, 2, 3].map(gate))
    }

    /// The gradient for the rows of the input.
    pub fn backward_input(&self, dz: &[f32]) -> Vec<f32> {
        let Some(factors) = self.factors else {
            return conv::backward_input(&self.all_gates(), self.kernel, dz);
        };
        let mut sum: Vec<f32> = Vec::new();
        for gate in 0..GATES {
            let kernel = self.gate(self.kernel, gate);
            let dx = conv::backward_input(&self.geometry, &kernel, &self.gate(dz, gate));
            let dx = Self::scaled(factors, gate, &dx);
            if sum.is_empty() {
                sum = dx;
            } else {
                sum.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx);
            }
        }
        sum
    }

    /// The gradient for the kernel.
    pub fn backward_kernel(&self, x: &[f32], dz: &[f32]) -> Vec<f32> {
        let Some(factors) = self.factors else {
            return conv::backward_kernel(&self.all_gates(), x, dz);
        };
        let gate = |gate| {
            let x = Self::scaled(factors, gate, x);
            conv::backward_kernel(&self.geometry, &x, &self.gate(dz, gate))
        };
        self.together(&[0, 1, 2, 3].map(gate))
    }

    /// The gradient for the bias.
    pub fn backward_bias(&self, dz: &[f32]) -> Vec<f32> {
        conv::backward_bias(&self.all_gates(), dz)
    }
}
