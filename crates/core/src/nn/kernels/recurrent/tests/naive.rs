//! The recurrent layers as Keras's documentation has them, in f64, row by row, step by step, with nothing shared.

use super::Case;
use crate::nn::kernels::recurrent::activation::tests::reference;
use crate::nn::kernels::recurrent::{Activation, Cell};

/// All that a layer depends on, in f64.
#[derive(Clone)]
pub(super) struct Numbers {
    /// `[batch, steps, features]`, or the embedding table.
    pub(super) input: Vec<f64>,
    pub(super) kernel: Vec<f64>,
    pub(super) recurrent_kernel: Vec<f64>,
    pub(super) bias: Vec<f64>,
    pub(super) h: Vec<f64>,
    pub(super) c: Vec<f64>,
}

impl Numbers {
    pub(super) fn of(case: &Case) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        Self {
            input: wide(&case.input),
            kernel: wide(&case.kernel),
            recurrent_kernel: wide(&case.recurrent_kernel),
            bias: wide(&case.bias),
            h: wide(&case.h),
            c: wide(&case.c),
        }
    }
}

pub(super) struct Result {
    pub(super) y: Vec<f64>,
    pub(super) h: Vec<f64>,
    pub(super) c: Vec<f64>,
}

#[expect(
    clippy::too_many_lines,
    reason = "the definition in one piece is what makes it plain"
)]
pub(super) fn forward(case: &Case, numbers: &Numbers) -> Result {
    let layer = &case.layer;
    let (batch, steps, features, units) = (case.batch, case.steps, layer.features, layer.units);
    let gates = layer.cell.gates();
    let mut result = Result {
        y: Vec::new(),
        h: Vec::new(),
        c: Vec::new(),
    };
    for row in 0..batch {
        let state = |states: &[f64]| -> Vec<f64> {
            if case.stateful {
                states[row * units..(row + 1) * units].to_vec()
            } else {
                vec![0.0; units]
            }
        };
        let (mut h, mut c) = (
            state(&numbers.h),
            if layer.cell.has_carry() {
                state(&numbers.c)
            } else {
                Vec::new()
            },
        );
        let mut output = vec![0.0; units];
        for position in 0..steps {
            let time = if layer.go_backwards {
                steps - 1 - position
            } else {
                position
            };
            if case.mask.as_ref().is_none_or(|mask| mask[row * steps + time]) {
                let at = match &case.ids {
                    Some(ids) => ids[row * steps + time] as usize * features,
                    None => (row * steps + time) * features,
                };
                let x = &numbers.input[at..at + features];
                // GRU with one factor for all gates drops the state as a whole, and nothing more of it in its products.
                let mut state_factors = &case.recurrent_dropout;
                if let (Cell::Gru { .. }, Some(factors)) = (layer.cell, &case.recurrent_dropout)
                    && factors.len() == batch * units
                {
                    let factors = &factors[row * units..(row + 1) * units];
                    h.iter_mut()
                        .zip(factors)
                        .for_each(|(h, factor)| *h *= f64::from(*factor));
                    state_factors = &None;
                }
                let factor = |masks: &Option<Vec<f32>>, width: usize, gate: usize, i: usize| {
                    masks.as_ref().map_or(1.0, |masks| {
                        let gate = if masks.len() > batch * width { gate } else { 0 };
                        f64::from(masks[(gate * batch + row) * width + i])
                    })
                };
                let input = |gate: usize| -> Vec<f64> {
                    let column = |j: usize| gate * units + j;
                    (0..units)
                        .map(|j| {
                            let sum: f64 = (0..features)
                                .map(|i| {
                                    x[i] * factor(&case.dropout, features, gate, i)
                                        * numbers.kernel[i * gates * units + column(j)]
                                })
                                .sum();
                            sum + if case.use_bias { numbers.bias[column(j)] } else { 0.0 }
                        })
                        .collect()
                };
                let state = |h: &[f64], gate: usize| -> Vec<f64> {
                    let column = |j: usize| gate * units + j;
                    let two = layer.cell.bias_rows() == 2 && case.use_bias;
                    (0..units)
                        .map(|j| {
                            let sum: f64 = (0..units)
                                .map(|i| {
                                    h[i] * factor(state_factors, units, gate, i)
                                        * numbers.recurrent_kernel[i * gates * units + column(j)]
                                })
                                .sum();
                            sum + if two {
                                numbers.bias[gates * units + column(j)]
                            } else {
                                0.0
                            }
                        })
                        .collect()
                };
                let gate = |activation: Activation, gate: usize| {
                    let sum: Vec<f64> = input(gate).iter().zip(state(&h, gate)).map(|(a, b)| a + b).collect();
                    reference(activation, &sum)
                };
                h = match layer.cell {
                    Cell::Simple { activation } => gate(activation, 0),
                    Cell::Lstm {
                        activation,
                        recurrent_activation,
                    } => {
                        let (i, f) = (gate(recurrent_activation, 0), gate(recurrent_activation, 1));
                        let (g, o) = (gate(activation, 2), gate(recurrent_activation, 3));
                        c = (0..units).map(|j| f[j] * c[j] + i[j] * g[j]).collect();
                        reference(activation, &c).iter().zip(o).map(|(t, o)| t * o).collect()
                    }
                    Cell::Gru {
                        activation,
                        recurrent_activation,
                        reset_after,
                    } => {
                        let (z, r) = (gate(recurrent_activation, 0), gate(recurrent_activation, 1));
                        let inner: Vec<f64> = if reset_after {
                            state(&h, 2).iter().zip(&r).map(|(s, r)| s * r).collect()
                        } else {
                            state(&h.iter().zip(&r).map(|(h, r)| h * r).collect::<Vec<_>>(), 2)
                        };
                        let sum: Vec<f64> = input(2).iter().zip(inner).map(|(a, b)| a + b).collect();
                        let candidate = reference(activation, &sum);
                        (0..units).map(|j| z[j] * h[j] + (1.0 - z[j]) * candidate[j]).collect()
                    }
                };
                output.clone_from(&h);
            }
            if layer.return_sequences {
                result.y.extend(&output);
            }
        }
        if !layer.return_sequences {
            result.y.extend(&output);
        }
        result.h.extend(h);
        result.c.extend(c);
    }
    result
}
