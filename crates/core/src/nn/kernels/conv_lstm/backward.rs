//! The walk back.

use super::forward::Saved;
use super::product::Product;
use super::{Call, GATES, Layer, Weights};
use crate::nn::kernels::activation;

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Of the input.
    pub input: bool,
    /// Of kernels and bias.
    pub weights: bool,
    /// Of state and carry before the first step.
    pub initial: bool,
}

/// Gradients that come from above.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradients<'a> {
    /// Of the output, in its shape.
    pub y: &'a [f32],
    /// Of state and carry after the last step, `[batch, windows.., filters]` each; zeros when absent.
    pub last: Option<[&'a [f32]; 2]>,
}

/// Gradients, each in the shape of what it belongs to.
#[derive(Debug, Default)]
pub struct Gradients {
    /// `[batch, steps, height, width, channels]`
    pub input: Option<Vec<f32>>,
    /// `[rows, columns, channels, 4 filters]`
    pub kernel: Option<Vec<f32>>,
    /// `[rows, columns, filters, 4 filters]`
    pub recurrent_kernel: Option<Vec<f32>>,
    /// `[4 filters]`; also made when the layer has none.
    pub bias: Option<Vec<f32>>,
    /// Of state and carry before the first step, `[batch, windows.., filters]` each.
    pub initial: Option<[Vec<f32>; 2]>,
}

/// The gradients of what the forward computed, from those of what it gave back; weights and call must be the same.
///
/// # Panics
/// When a slice does not fit.
#[must_use]
pub fn backward(
    layer: &Layer,
    weights: &Weights<'_>,
    call: &Call<'_>,
    saved: Saved,
    above: &OutputGradients<'_>,
    needs: Needs,
) -> Gradients {
    call.check(layer, weights);
    let (batch, steps, row_len) = (call.batch, call.steps, layer.state_len());
    let (state, filters) = (batch * row_len, layer.filters());
    let of_input = Product::new(layer.input, weights.kernel, call.dropout);
    let of_state = Product::new(layer.state, weights.recurrent_kernel, call.recurrent_dropout);
    let Saved { x, mut gates, h, c } = saved;
    // What comes back along state and carry.
    let [mut dh, mut dc] = above.last.map_or_else(
        || [vec![0.0; state], vec![0.0; state]],
        |last| last.map(<[f32]>::to_vec),
    );
    let dy = above.y;
    if !layer.return_sequences {
        assert_eq!(dy.len(), state, "gradients of the last output");
        dh.iter_mut().zip(dy).for_each(|(sum, dy): (&mut f32, _)| *sum += dy);
    }
    for position in (0..steps).rev() {
        if layer.return_sequences {
            for (row, dh) in dh.chunks_exact_mut(row_len).enumerate() {
                let dy = &dy[(row * steps + position) * row_len..][..row_len];
                dh.iter_mut().zip(dy).for_each(|(sum, dy): (&mut f32, _)| *sum += dy);
            }
        }
        let z = &mut gates[position * GATES * state..][..GATES * state];
        let carries = [position, position + 1].map(|at| &c[at * state..][..state]);
        step(layer, z, &dh, &mut dc, carries, filters);
        if position > 0 || needs.initial {
            dh = of_state.backward_input(z);
        }
    }
    let mut gradients = Gradients {
        initial: needs.initial.then_some([dh, dc]),
        ..Gradients::default()
    };
    if needs.weights {
        gradients.kernel = Some(of_input.backward_kernel(&x, &gates));
        gradients.recurrent_kernel = Some(of_state.backward_kernel(&h[..steps * state], &gates));
        gradients.bias = Some(of_input.backward_bias(&gates));
    }
    if needs.input {
        gradients.input = Some(unwalked(layer, call, &of_input.backward_input(&gates)));
    }
    gradients
}

/// From the order of the walk, `[steps, batch, input..]`, back to `[batch, steps, input..]`.
fn unwalked(layer: &Layer, call: &Call<'_>, dx: &[f32]) -> Vec<f32> {
    let row = layer.input_len();
    let mut ordered = Vec::with_capacity(dx.len());
    for of_row in 0..call.batch {
        for time in 0..call.steps {
            let position = layer.time(time, call.steps);
            ordered.extend_from_slice(&dx[(position * call.batch + of_row) * row..][..row]);
        }
    }
    ordered
}

/// One step: turns the gates into the gradients of what their activations were applied to, and `dc` into that of the carry before the
/// step. `carries` are those before and after it.
fn step(layer: &Layer, z: &mut [f32], dh: &[f32], dc: &mut [f32], carries: [&[f32]; 2], filters: usize) {
    let (mut squashed, mut slopes) = (vec![0.0; filters], vec![0.0; filters]);
    let mut dz = vec![0.0; GATES * filters];
    let cells = dh.chunks_exact(filters).zip(dc.chunks_exact_mut(filters));
    let carries = carries[0].chunks_exact(filters).zip(carries[1].chunks_exact(filters));
    for ((z, (dh, dc)), (before, after)) in z.chunks_exact_mut(GATES * filters).zip(cells).zip(carries) {
        squashed.copy_from_slice(after);
        activation::forward(layer.activation, &mut squashed, filters);
        let o = &z[3 * filters..];
        for index in 0..filters {
            slopes[index] = dh[index] * o[index];
            dz[3 * filters + index] = dh[index] * squashed[index];
        }
        activation::backward(layer.activation, &squashed, &mut slopes, filters);
        for index in 0..filters {
            let (i, f, g) = (z[index], z[filters + index], z[2 * filters + index]);
            let dc_here = dc[index] + slopes[index];
            dz[index] = dc_here * g;
            dz[filters + index] = dc_here * before[index];
            dz[2 * filters + index] = dc_here * i;
            dc[index] = dc_here * f;
        }
        activation::backward(
            layer.recurrent_activation,
            &z[..2 * filters],
            &mut dz[..2 * filters],
            filters,
        );
        let candidate = 2 * filters..3 * filters;
        activation::backward(layer.activation, &z[candidate.clone()], &mut dz[candidate], filters);
        activation::backward(
            layer.recurrent_activation,
            &z[3 * filters..],
            &mut dz[3 * filters..],
            filters,
        );
        z.copy_from_slice(&dz);
    }
}
