//! The walk through the steps.

use super::product::Product;
use super::{Call, GATES, Layer, Weights};
use crate::nn::kernels::activation;
use crate::nn::kernels::axes::permute;

/// What a layer gives back.
#[derive(Debug)]
pub struct Output {
    /// `[batch, windows.., filters]`, or `[batch, steps, windows.., filters]` with `return_sequences`.
    pub y: Vec<f32>,
    /// State after the last step, `[batch, windows.., filters]`.
    pub h: Vec<f32>,
    /// Carry after the last step, `[batch, windows.., filters]`.
    pub c: Vec<f32>,
    /// What the backward needs; none unless training.
    pub saved: Option<Saved>,
}

/// What a forward keeps for its backward, step by step in the order of the walk.
#[derive(Debug)]
pub struct Saved {
    /// The input, `[steps, batch, input..]`.
    pub(super) x: Vec<f32>,
    /// The gates behind their activations, `[steps, batch, windows.., 4 filters]`.
    pub(super) gates: Vec<f32>,
    /// The state before each step and after the last, `[steps + 1, batch, windows.., filters]`.
    pub(super) h: Vec<f32>,
    /// The same of the carry.
    pub(super) c: Vec<f32>,
}

/// Computes a layer; `training` keeps what the backward needs.
///
/// # Panics
/// When a slice does not fit: the layers check their shapes before.
#[must_use]
pub fn forward(layer: &Layer, weights: &Weights<'_>, call: &Call<'_>, training: bool) -> Output {
    call.check(layer, weights);
    let (batch, steps) = (call.batch, call.steps);
    let (state, filters) = (batch * layer.state_len(), layer.filters());
    let x = walked(layer, call);
    let of_input = Product::new(layer.input, weights.kernel, call.dropout);
    let of_state = Product::new(layer.state, weights.recurrent_kernel, call.recurrent_dropout);
    let mut gates = of_input.forward(&x, weights.bias);

    let kept = if training { steps + 1 } else { 1 };
    let (mut hs, mut cs) = (Vec::with_capacity(kept * state), Vec::with_capacity(kept * state));
    let [mut h, mut c] = call.initial.map_or_else(
        || [vec![0.0; state], vec![0.0; state]],
        |initial| initial.map(<[f32]>::to_vec),
    );
    let mut all = vec![0.0; if layer.return_sequences { steps * state } else { 0 }];
    for position in 0..steps {
        if training {
            hs.extend_from_slice(&h);
            cs.extend_from_slice(&c);
        }
        let z = &mut gates[position * GATES * state..][..GATES * state];
        // The first state is mostly zero, and so is its convolution.
        if position > 0 || call.initial.is_some() {
            let recurrent = of_state.forward(&h, None);
            z.iter_mut().zip(recurrent).for_each(|(z, product)| *z += product);
        }
        step(layer, z, &mut h, &mut c, filters);
        if layer.return_sequences {
            let row_len = layer.state_len();
            for (row, h) in h.chunks_exact(row_len).enumerate() {
                all[(row * steps + position) * row_len..][..row_len].copy_from_slice(h);
            }
        }
    }
    if training {
        hs.extend_from_slice(&h);
        cs.extend_from_slice(&c);
    }
    Output {
        y: if layer.return_sequences { all } else { h.clone() },
        h,
        c,
        saved: training.then_some(Saved { x, gates, h: hs, c: cs }),
    }
}

/// The input in the order of the walk, `[steps, batch, input..]`.
fn walked(layer: &Layer, call: &Call<'_>) -> Vec<f32> {
    let row = layer.input_len();
    if layer.go_backwards {
        let mut x = Vec::with_capacity(call.x.len());
        for time in (0..call.steps).rev() {
            for of_row in call.x.chunks_exact((call.steps * row).max(1)) {
                x.extend_from_slice(&of_row[time * row..][..row]);
            }
        }
        x
    } else {
        permute(call.x, &[call.batch, call.steps, row], &[1, 0, 2])
    }
}

/// One step: the gates pass through their activations, in place, and the states move on.
fn step(layer: &Layer, z: &mut [f32], h: &mut [f32], c: &mut [f32], filters: usize) {
    let states = h.chunks_exact_mut(filters).zip(c.chunks_exact_mut(filters));
    for (z, (h, c)) in z.chunks_exact_mut(GATES * filters).zip(states) {
        activation::forward(layer.recurrent_activation, &mut z[..2 * filters], filters);
        activation::forward(layer.activation, &mut z[2 * filters..3 * filters], filters);
        activation::forward(layer.recurrent_activation, &mut z[3 * filters..], filters);
        let (i, rest) = z.split_at(filters);
        let (f, rest) = rest.split_at(filters);
        let (g, o) = rest.split_at(filters);
        for index in 0..filters {
            c[index] = f[index] * c[index] + i[index] * g[index];
        }
        h.copy_from_slice(c);
        activation::forward(layer.activation, h, filters);
        h.iter_mut().zip(o).for_each(|(h, o)| *h *= o);
    }
}
