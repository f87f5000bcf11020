use proptest::prelude::*;

use super::super::testing::{assert_close, assert_slopes, values};
use super::*;
use crate::nn::threads;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// A convolution in f64: `x` `[windows' input, channels]`, kernel `[patch, columns]`.
fn convolve(g: &ConvGeometry, x: &[f64], kernel: &[f32], gate: usize) -> Vec<f64> {
    let (filters, columns) = (g.filters, GATES * g.filters);
    let mut y = Vec::new();
    for index in 0..g.window.output_cells() {
        let mut sums = vec![0.0; filters];
        g.window.for_each_cell(g.window.output_at(index), |cell, place| {
            for channel in 0..g.channels {
                let kernel = &kernel[(cell * g.channels + channel) * columns + gate * filters..][..filters];
                for (sum, weight) in sums.iter_mut().zip(kernel) {
                    *sum += x[place * g.channels + channel] * f64::from(*weight);
                }
            }
        });
        y.extend(sums);
    }
    y
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        _ => (0.2 * x + 0.5).clamp(0.0, 1.0),
    }
}

/// The layer as its definition says it, row by row in f64: its output, then state and carry after the last step.
fn naive(layer: &Layer, weights: &Weights<'_>, call: &Call<'_>) -> Vec<f64> {
    let (row_len, state, filters) = (layer.input_len(), layer.state_len(), layer.filters());
    let (mut all, mut last) = (Vec::new(), [Vec::new(), Vec::new()]);
    for row in 0..call.batch {
        let first = |index: usize| {
            call.initial
                .map_or_else(|| vec![0.0; state], |both| wide(&both[index][row * state..][..state]))
        };
        let (mut h, mut c) = (first(0), first(1));
        for position in 0..call.steps {
            let time = layer.time(position, call.steps);
            let x = wide(&call.x[(row * call.steps + time) * row_len..][..row_len]);
            let scaled = |values: &[f64], factors: Option<&[f32]>, gate: usize| -> Vec<f64> {
                let len = values.len();
                let factor =
                    |at: usize| factors.map_or(1.0, |all| f64::from(all[(gate * call.batch + row) * len + at]));
                values
                    .iter()
                    .enumerate()
                    .map(|(at, value)| value * factor(at))
                    .collect()
            };
            let z = [0, 1, 2, 3].map(|gate| {
                let of_x = convolve(&layer.input, &scaled(&x, call.dropout, gate), weights.kernel, gate);
                let of_h = convolve(
                    &layer.state,
                    &scaled(&h, call.recurrent_dropout, gate),
                    weights.recurrent_kernel,
                    gate,
                );
                let activation = if gate == 2 {
                    layer.activation
                } else {
                    layer.recurrent_activation
                };
                let bias = |at: usize| {
                    weights
                        .bias
                        .map_or(0.0, |bias| f64::from(bias[gate * filters + at % filters]))
                };
                (0..state)
                    .map(|at| activated(activation, of_x[at] + of_h[at] + bias(at)))
                    .collect::<Vec<f64>>()
            });
            for at in 0..state {
                c[at] = z[1][at] * c[at] + z[0][at] * z[2][at];
                h[at] = z[3][at] * activated(layer.activation, c[at]);
            }
            if layer.return_sequences {
                all.extend_from_slice(&h);
            }
        }
        if !layer.return_sequences {
            all.extend_from_slice(&h);
        }
        last[0].extend(h);
        last[1].extend(c);
    }
    all.into_iter().chain(last.into_iter().flatten()).collect()
}

#[derive(Clone, Copy, Debug)]
struct Options {
    dropped: bool,
    started: bool,
    bias: bool,
}

fn agrees_with_plain_loops(layer: &Layer, batch: usize, steps: usize, options: Options) {
    let (row, state, gates) = (layer.input_len(), layer.state_len(), GATES * layer.filters());
    let scale = |values: Vec<f32>| values.into_iter().map(|x| 0.6 * x).collect::<Vec<_>>();
    let x = values(batch * steps * row, 1);
    let kernel = scale(values(layer.input.patch_len() * gates, 2));
    let recurrent_kernel = scale(values(layer.state.patch_len() * gates, 3));
    let bias = values(gates, 4);
    let factors = |len: usize, seed| {
        values(GATES * batch * len, seed)
            .iter()
            .map(|x| 1.0 + x)
            .collect::<Vec<_>>()
    };
    let (dropout, recurrent_dropout) = (factors(row, 6), factors(state, 7));
    let (h, c) = (values(batch * state, 8), values(batch * state, 9));
    let call = Call {
        batch,
        steps,
        x: &x,
        initial: options.started.then_some([&h[..], &c[..]]),
        dropout: options.dropped.then_some(&dropout[..]),
        recurrent_dropout: options.dropped.then_some(&recurrent_dropout[..]),
    };
    let weights = Weights {
        kernel: &kernel,
        recurrent_kernel: &recurrent_kernel,
        bias: options.bias.then_some(&bias[..]),
    };
    let output = forward(layer, &weights, &call, true);
    let all = [&output.y[..], &output.h, &output.c].concat();
    assert_close(&all, &naive(layer, &weights, &call), 1e-5);
    assert_eq!(forward(layer, &weights, &call, false).y, output.y);
    let dy = values(all.len(), 10);
    let (of_y, of_last) = dy.split_at(output.y.len());
    let (of_h, of_c) = of_last.split_at(batch * state);
    let above = OutputGradients {
        y: of_y,
        last: Some([of_h, of_c]),
    };
    let needs = Needs {
        input: true,
        weights: true,
        initial: options.started,
    };
    let gradients = backward(layer, &weights, &call, output.saved.unwrap(), &above, needs);
    if let Some([dh, dc]) = gradients.initial {
        let from = |h: &[f32], c: &[f32]| {
            let initial = Some([h, c]);
            naive(layer, &weights, &Call { initial, ..call })
        };
        assert_slopes(&dh, &h, &dy, |h| from(h, &c));
        assert_slopes(&dc, &c, &dy, |c| from(&h, c));
    }
    assert_slopes(&gradients.input.unwrap(), &x, &dy, |x| {
        naive(layer, &weights, &Call { x, ..call })
    });
    assert_slopes(&gradients.kernel.unwrap(), &kernel, &dy, |kernel| {
        naive(layer, &Weights { kernel, ..weights }, &call)
    });
    assert_slopes(
        &gradients.recurrent_kernel.unwrap(),
        &recurrent_kernel,
        &dy,
        |recurrent_kernel| {
            naive(
                layer,
                &Weights {
                    recurrent_kernel,
                    ..weights
                },
                &call,
            )
        },
    );
    if options.bias {
        assert_slopes(&gradients.bias.unwrap(), &bias, &dy, |bias| {
            naive(
                layer,
                &Weights {
                    bias: Some(bias),
                    ..weights
                },
                &call,
            )
        });
    }
}

fn layers() -> impl Strategy<Value = Layer> {
    let axis = || (2_usize..6, 1_usize..4, 1_usize..3, 1_usize..3);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    ([axis(), axis()], 1_usize..4, 1_usize..5, flags).prop_filter_map(
        "does not fit",
        |(axes, channels, filters, (same, return_sequences, go_backwards))| {
            let axes = Axes {
                input: &axes.map(|a| a.0),
                kernel: &axes.map(|a| a.1),
                strides: &axes.map(|a| a.2),
                dilation: &axes.map(|a| a.3),
                padding: if same { Padding::Same } else { Padding::Valid },
            };
            // The hard sigmoid's corners would spoil differences.
            let layer = Layer {
                recurrent_activation: Activation::Sigmoid,
                return_sequences,
                go_backwards,
                ..Layer::new(axes, channels, filters).ok()?
            };
            Some(layer)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_layer_agrees_with_plain_loops(
        layer in layers(), batch in 1_usize..4, steps in 1_usize..5, flags in any::<[bool; 3]>(),
    ) {
        let [dropped, started, bias] = flags;
        agrees_with_plain_loops(&layer, batch, steps, Options { dropped, started, bias });
    }
}

#[test]
fn the_bytes_are_the_same_on_any_number_of_threads() {
    let axes = Axes {
        input: &[10, 10],
        kernel: &[3, 3],
        strides: &[1, 1],
        dilation: &[1, 1],
        padding: Padding::Same,
    };
    let layer = Layer::new(axes, 3, 8).unwrap();
    let (x, kernel) = (values(12 * 4 * layer.input_len(), 1), values(9 * 3 * 32, 2));
    let recurrent_kernel = values(9 * 8 * 32, 3);
    let dy = values(12 * layer.state_len(), 4);
    let weights = Weights {
        kernel: &kernel,
        recurrent_kernel: &recurrent_kernel,
        bias: None,
    };
    let call = Call {
        batch: 12,
        steps: 4,
        x: &x,
        initial: None,
        dropout: None,
        recurrent_dropout: None,
    };
    let run = || {
        let output = forward(&layer, &weights, &call, true);
        let needs = Needs {
            input: true,
            weights: true,
            initial: false,
        };
        let above = OutputGradients { y: &dy, last: None };
        let gradients = backward(&layer, &weights, &call, output.saved.unwrap(), &above, needs);
        [
            output.y,
            gradients.input.unwrap(),
            gradients.kernel.unwrap(),
            gradients.recurrent_kernel.unwrap(),
        ]
    };
    let alone = threads::pool(1).unwrap().install(run);
    for count in [2, 7] {
        assert_eq!(threads::pool(count).unwrap().install(run), alone);
    }
}
