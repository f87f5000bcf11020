//! Every family and option against the naive version and finite differences, on each instruction set.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers made for a test are small"
)]

mod naive;

use proptest::prelude::*;

use self::naive::Numbers;
use super::activation::tests::ALL;
use super::backward::backward_on;
use super::forward::forward_on;
use super::*;
use crate::nn::kernels::embedding;
use crate::nn::threads;

/// A layer, its weights and a batch.
#[derive(Clone, Debug)]
struct Case {
    layer: Layer,
    batch: usize,
    steps: usize,
    use_bias: bool,
    stateful: bool,
    share_prefix: bool,
    ids: Option<Vec<f32>>,
    input: Vec<f32>,
    kernel: Vec<f32>,
    recurrent_kernel: Vec<f32>,
    bias: Vec<f32>,
    h: Vec<f32>,
    c: Vec<f32>,
    mask: Option<Vec<bool>>,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    dy: Vec<f32>,
    dh: Vec<f32>,
    dc: Vec<f32>,
}

/// A small generator of its own: cases are made from a seed, and shrink by their shapes.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn values(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n)
            .map(|_| scale * (self.next() as f32 / (1_u64 << 30) as f32 - 1.0))
            .collect()
    }

    fn factors(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| if self.below(3) == 0 { 0.0 } else { 1.5 }).collect()
    }
}

const INPUT_DIM: usize = 7;

#[derive(Clone, Copy, Debug)]
struct Choice {
    layer: Layer,
    batch: usize,
    steps: usize,
    /// Bits that switch options on.
    options: u16,
    seed: u64,
}

impl Choice {
    fn option(&self, bit: u16) -> bool {
        self.options >> bit & 1 == 1
    }
}

impl Case {
    fn new(choice: Choice) -> Self {
        let Choice {
            layer,
            batch,
            steps,
            seed,
            ..
        } = choice;
        let (features, units, columns) = (layer.features, layer.units, layer.columns());
        let mut noise = Noise(seed);
        let per_gate = if choice.option(0) { layer.cell.gates() } else { 1 };
        let stateful = choice.option(1);
        let with_ids = choice.option(2);
        // Rows padded in front, by lengths of their own.
        let padding: Vec<usize> = (0..batch).map(|_| noise.below(steps + 1)).collect();
        let ids = with_ids.then(|| {
            let id = |noise: &mut Noise, at: usize| {
                if at % steps < padding[at / steps] {
                    0.0
                } else {
                    noise.below(INPUT_DIM) as f32
                }
            };
            (0..batch * steps).map(|at| id(&mut noise, at)).collect()
        });
        let mut input = noise.values(if with_ids { INPUT_DIM } else { batch * steps } * features, 1.0);
        if !with_ids {
            for (row, &padding) in padding.iter().enumerate() {
                input[row * steps * features..(row * steps + padding) * features].fill(0.25);
            }
        }
        let mask = choice
            .option(3)
            .then(|| (0..batch * steps).map(|_| noise.below(3) > 0).collect());
        let dropout = choice.option(4).then(|| noise.factors(per_gate * batch * features));
        let recurrent_dropout = choice.option(5).then(|| noise.factors(per_gate * batch * units));
        let carry = if layer.cell.has_carry() { batch * units } else { 0 };
        Self {
            layer,
            batch,
            steps,
            // Without a bias a dropped input would leave sums of exactly zero, where some activations have a kink.
            use_bias: choice.option(6) || choice.option(4),
            stateful,
            share_prefix: choice.option(7),
            ids,
            input,
            kernel: noise.values(features * columns, 0.7),
            recurrent_kernel: noise.values(units * columns, 0.9 / (units as f32).sqrt()),
            bias: noise.values(layer.cell.bias_rows() * columns, 0.5),
            h: noise.values(batch * units, 0.8),
            c: noise.values(carry, 0.8),
            mask,
            dropout,
            recurrent_dropout,
            dy: noise.values(batch * units * if layer.return_sequences { steps } else { 1 }, 1.0),
            dh: noise.values(batch * units, 1.0),
            dc: noise.values(carry, 1.0),
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            kernel: &self.kernel,
            recurrent_kernel: &self.recurrent_kernel,
            bias: self.use_bias.then_some(&self.bias),
        }
    }

    fn carry<'a>(&self, c: &'a [f32]) -> Option<&'a [f32]> {
        self.layer.cell.has_carry().then_some(c)
    }

    fn call(&self) -> Call<'_> {
        Call {
            batch: self.batch,
            steps: self.steps,
            input: match &self.ids {
                Some(ids) => Input::Ids {
                    ids,
                    table: &self.input,
                },
                None => Input::Values(&self.input),
            },
            initial: self.stateful.then(|| States {
                h: &self.h,
                c: self.carry(&self.c),
            }),
            mask: self.mask.as_deref(),
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
            share_prefix: self.share_prefix,
        }
    }

    fn forward(&self, isa: Isa, training: bool) -> Output {
        forward_on(isa, &self.layer, &self.weights(), &self.call(), training).unwrap()
    }

    fn backward(&self, isa: Isa) -> Gradients {
        let saved = self.forward(isa, true).saved.unwrap();
        let above = OutputGradients {
            y: &self.dy,
            h: Some(&self.dh),
            c: self.carry(&self.dc),
        };
        let needs = Needs {
            input: true,
            weights: true,
            initial: true,
        };
        backward_on(isa, &self.layer, &self.weights(), &self.call(), saved, &above, needs).unwrap()
    }

    /// The sum of all results, weighted by the gradients from above.
    fn loss(&self, numbers: &Numbers) -> f64 {
        let weighted = |values: &[f64], weights: &[f32]| -> f64 {
            values
                .iter()
                .zip(weights)
                .map(|(value, &weight)| value * f64::from(weight))
                .sum()
        };
        let result = naive::forward(self, numbers);
        weighted(&result.y, &self.dy) + weighted(&result.h, &self.dh) + weighted(&result.c, &self.dc)
    }

    /// Slope of the loss when the numbers that `part` picks move along `direction`.
    fn slope(&self, direction: &[f32], part: impl Fn(&mut Numbers) -> &mut Vec<f64>) -> f64 {
        let moved = |by: f64| {
            let mut numbers = Numbers::of(self);
            for (number, &direction) in part(&mut numbers).iter_mut().zip(direction) {
                *number += by * f64::from(direction);
            }
            self.loss(&numbers)
        };
        (moved(1e-7) - moved(-1e-7)) / 2e-7
    }
}

fn cell() -> impl Strategy<Value = Cell> {
    let usual = prop_oneof![Just(Activation::Tanh), prop::sample::select(&ALL[..])];
    let gate = prop_oneof![
        Just(Activation::Sigmoid),
        Just(Activation::HardSigmoid),
        prop::sample::select(&ALL[..])
    ];
    (usual, gate, 0..4).prop_map(|(activation, recurrent_activation, family)| match family {
        0 => Cell::Simple { activation },
        1 => Cell::Gru {
            activation,
            recurrent_activation,
            reset_after: true,
        },
        2 => Cell::Gru {
            activation,
            recurrent_activation,
            reset_after: false,
        },
        _ => Cell::Lstm {
            activation,
            recurrent_activation,
        },
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    let units = prop_oneof![1_usize..6, 15_usize..19, 31_usize..36];
    let layer = (cell(), 1_usize..6, units, any::<bool>(), any::<bool>()).prop_map(
        |(cell, features, units, return_sequences, go_backwards)| Layer {
            cell,
            features,
            units,
            return_sequences,
            go_backwards,
        },
    );
    // Bits 3 to 5, mask and dropouts, are rarer, so that prefixes are shared often.
    let options = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| a & (b | !0b11_1010));
    (layer, 1_usize..30, 1_usize..7, options, any::<u64>())
        .prop_map(|(layer, batch, steps, options, seed)| Choice {
            layer,
            batch,
            steps,
            options,
            seed,
        })
        .prop_filter("states explode, as with exponential activations they may", |&choice| {
            let case = Case::new(choice);
            let result = naive::forward(&case, &Numbers::of(&case));
            [result.y, result.h, result.c]
                .iter()
                .flatten()
                .all(|value| value.abs() < 10.0)
        })
}

fn close(what: &str, found: &[f32], expected: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len(), "{}", what);
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs() / expected.abs().max(1.0);
        prop_assert!(error < 2e-5, "{what} {i}: {found} for {expected}");
    }
    Ok(())
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// A part of the numbers.
type Part = fn(&mut Numbers) -> &mut Vec<f64>;

/// Holds each gradient to the slope of the naive version along some direction.
fn gradients_are_slopes(case: &Case, seed: u64) -> Result<(), TestCaseError> {
    let mut noise = Noise(seed ^ 0xABCD);
    for isa in Isa::available() {
        let gradients = case.backward(isa);
        let mut parts: Vec<(&str, Option<&Vec<f32>>, Part)> = vec![
            ("kernel", gradients.kernel.as_ref(), |n| &mut n.kernel),
            ("recurrent kernel", gradients.recurrent_kernel.as_ref(), |n| {
                &mut n.recurrent_kernel
            }),
        ];
        if case.use_bias {
            parts.push(("bias", gradients.bias.as_ref(), |n| &mut n.bias));
        }
        if case.stateful {
            parts.push(("first state", gradients.h.as_ref(), |n| &mut n.h));
            if case.layer.cell.has_carry() {
                parts.push(("first carry", gradients.c.as_ref(), |n| &mut n.c));
            }
        }
        // Values' gradients of shared steps are sums: their own test is below.
        if case.ids.is_some() || !case.share_prefix {
            parts.push(("input", gradients.input.as_ref(), |n| &mut n.input));
        }
        for (what, gradient, part) in parts {
            let gradient = gradient.unwrap();
            let direction = noise.values(gradient.len(), 1.0);
            let slope = case.slope(&direction, part);
            let found = dot(gradient, &direction);
            let size = dot(gradient, gradient).sqrt().max(1.0);
            prop_assert!(
                (found - slope).abs() < 1e-4 * size,
                "{what} on {isa:?}: {found} for {slope}"
            );
        }
    }
    Ok(())
}

/// The same cases at each run: among many, some step over a kink of relu, where finite differences are no measure.
fn config() -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(20);
    ProptestConfig {
        cases: 150,
        failure_persistence: None,
        rng_seed,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn outputs_and_states_agree_with_the_naive_version(choice in choice()) {
        let case = Case::new(choice);
        let expected = naive::forward(&case, &Numbers::of(&case));
        for isa in Isa::available() {
            for training in [false, true] {
                let output = case.forward(isa, training);
                prop_assert_eq!(output.saved.is_some(), training);
                close("output", &output.y, &expected.y)?;
                close("state", &output.h, &expected.h)?;
                close("carry", output.c.as_deref().unwrap_or_default(), &expected.c)?;
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences(choice in choice()) {
        gradients_are_slopes(&Case::new(choice), choice.seed)?;
    }

    #[test]
    fn sharing_prefixes_changes_no_bit_of_the_output_and_sums_the_input_gradient(choice in choice()) {
        let alone = Case { share_prefix: false, ..Case::new(choice) };
        let shared = Case { share_prefix: true, ..alone.clone() };
        let isa = Isa::current();
        prop_assert_eq!(alone.forward(isa, false).y, shared.forward(isa, false).y);
        let (alone, shared) = (alone.backward(isa), shared.backward(isa));
        for (alone, shared) in [
            (&alone.kernel, &shared.kernel),
            (&alone.recurrent_kernel, &shared.recurrent_kernel),
            (&alone.bias, &shared.bias),
        ] {
            let alone: Vec<f64> = alone.as_ref().unwrap().iter().map(|&x| f64::from(x)).collect();
            close("weights' gradient", shared.as_ref().unwrap(), &alone)?;
        }
        // Summed over the batch, the inputs' gradients of a step are the same.
        let width = if choice.option(2) { INPUT_DIM } else { choice.steps } * choice.layer.features;
        let sum = |dx: &[f32]| dx.chunks(width).fold(vec![0.0; width], |mut sum, row| {
            add(&mut sum, row);
            sum
        });
        let expected: Vec<f64> = sum(alone.input.as_ref().unwrap()).iter().map(|&x| f64::from(x)).collect();
        close("inputs' gradient", &sum(shared.input.as_ref().unwrap()), &expected)?;
    }

    #[test]
    fn ids_give_what_their_embeddings_give(choice in choice()) {
        let ids = Case::new(Choice { options: choice.options | 0b100, ..choice });
        let list = ids.ids.clone().unwrap();
        let x = embedding::gather(&list, ids.steps, &ids.input, ids.layer.features).unwrap();
        let values = Case { ids: None, share_prefix: false, input: x, ..ids.clone() };
        let isa = Isa::current();
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        close("output", &ids.forward(isa, true).y, &wide(&values.forward(isa, true).y))?;
        let (ids, values) = (ids.backward(isa), values.backward(isa));
        close("kernel", &ids.kernel.unwrap(), &wide(&values.kernel.unwrap()))?;
        close("recurrent kernel", &ids.recurrent_kernel.unwrap(), &wide(&values.recurrent_kernel.unwrap()))?;
        let dx = values.input.unwrap();
        let table = embedding::scatter(&list, choice.steps, &dx, INPUT_DIM, choice.layer.features).unwrap();
        close("table", &ids.input.unwrap(), &wide(&table))?;
    }
}

fn lstm(features: usize, units: usize) -> Layer {
    let cell = Cell::Lstm {
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
    };
    Layer {
        cell,
        features,
        units,
        return_sequences: false,
        go_backwards: false,
    }
}

#[test]
fn one_two_and_seven_threads_give_the_same_bytes() {
    for (options, return_sequences) in [(0b1100_0100, false), (0b1100_0000, true), (0b0111_1011, true)] {
        let layer = Layer {
            return_sequences,
            ..lstm(5, 19)
        };
        let case = Case::new(Choice {
            layer,
            batch: 90,
            steps: 13,
            options,
            seed: 11,
        });
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let results: Vec<Vec<u32>> = [1, 2, 7]
            .map(|threads| {
                threads::pool(threads).unwrap().install(|| {
                    let gradients = case.backward(Isa::current());
                    let mut all = bits(&case.forward(Isa::current(), false).y);
                    for part in [
                        &gradients.input,
                        &gradients.kernel,
                        &gradients.recurrent_kernel,
                        &gradients.bias,
                    ] {
                        all.extend(bits(part.as_ref().unwrap()));
                    }
                    all
                })
            })
            .into();
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0], results[2]);
    }
}

#[test]
fn gradients_that_nobody_asked_for_are_not_made() {
    let case = Case::new(Choice {
        layer: lstm(3, 4),
        batch: 3,
        steps: 4,
        options: 0b100_0010,
        seed: 5,
    });
    let saved = case.forward(Isa::current(), true).saved.unwrap();
    let above = OutputGradients {
        y: &case.dy,
        h: None,
        c: None,
    };
    let needs = Needs {
        input: false,
        weights: false,
        initial: false,
    };
    let gradients = backward(&case.layer, &case.weights(), &case.call(), saved, &above, needs).unwrap();
    assert!(gradients.input.is_none() && gradients.kernel.is_none() && gradients.recurrent_kernel.is_none());
    assert!(gradients.bias.is_none() && gradients.h.is_none() && gradients.c.is_none());
}

#[test]
fn long_sequences_are_summed_in_several_pieces() {
    let usual = (Activation::Tanh, Activation::Sigmoid);
    let gru = |reset_after| Cell::Gru {
        activation: usual.0,
        recurrent_activation: usual.1,
        reset_after,
    };
    let cells = [
        Cell::Simple { activation: usual.0 },
        gru(true),
        gru(false),
        lstm(1, 1).cell,
    ];
    for (cell, options) in cells
        .into_iter()
        .flat_map(|cell| [0b0, 0b100, 0b1000, 0b1000_0100].map(|options| (cell, options)))
    {
        let layer = Layer {
            cell,
            return_sequences: true,
            ..lstm(3, 18)
        };
        let case = Case::new(Choice {
            layer,
            batch: 14,
            steps: 50,
            options,
            seed: 3,
        });
        let output = case.forward(Isa::current(), false).y;
        close("output", &output, &naive::forward(&case, &Numbers::of(&case)).y).unwrap();
        gradients_are_slopes(&case, 3).unwrap();
    }
}

#[test]
fn what_was_saved_of_another_batch_is_refused() {
    let case = Case::new(Choice {
        layer: lstm(3, 4),
        batch: 3,
        steps: 4,
        options: 0,
        seed: 5,
    });
    let other = Case::new(Choice {
        layer: lstm(3, 4),
        batch: 2,
        steps: 4,
        options: 0,
        seed: 5,
    });
    let saved = other.forward(Isa::current(), true).saved.unwrap();
    let above = OutputGradients {
        y: &case.dy,
        h: None,
        c: None,
    };
    let needs = Needs {
        input: false,
        weights: true,
        initial: false,
    };
    let error = backward(&case.layer, &case.weights(), &case.call(), saved, &above, needs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "recurrent layer: gradients were asked for another layer or batch than the one that was computed"
    );
}

#[test]
fn a_row_that_is_masked_throughout_outputs_zeros_and_keeps_its_state() {
    let mut case = Case::new(Choice {
        layer: lstm(2, 3),
        batch: 2,
        steps: 3,
        options: 0b100_1010,
        seed: 7,
    });
    case.mask = Some(vec![false, false, false, true, false, true]);
    let output = case.forward(Isa::current(), false);
    assert_eq!(output.y[..3], [0.0; 3]);
    assert_eq!(output.h[..3], case.h[..3]);
    assert_eq!(output.y[3..], output.h[3..]);
}

#[test]
fn pre_padded_rows_share_their_prefix() {
    let ids = vec![
        0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 3.0, 4.0, 0.0, 2.0, 2.0, 2.0, 6.0, 1.0, 2.0, 3.0,
    ];
    let mut case = Case::new(Choice {
        layer: lstm(2, 3),
        batch: 4,
        steps: 4,
        options: 0b1000_0100,
        seed: 7,
    });
    case.ids = Some(ids);
    let plan = plan::Plan::new(&case.layer, &case.call());
    assert_eq!(plan.shared, [2, 2, 1, 0]);
    assert_eq!(plan.total, 2 + 2 + 2 + 3 + 4);
    for option in [1, 3, 4, 5] {
        let switched = Case::new(Choice {
            layer: lstm(2, 3),
            batch: 4,
            steps: 4,
            options: 1 << 7 | 1 << option,
            seed: 7,
        });
        assert!(
            plan::Plan::new(&case.layer, &switched.call()).trunk.is_none(),
            "option {option}"
        );
    }
}

#[test]
fn slices_of_the_wrong_size_are_refused() {
    let case = Case::new(Choice {
        layer: lstm(3, 4),
        batch: 2,
        steps: 2,
        options: 0,
        seed: 5,
    });
    let message =
        |weights: Weights<'_>, call: Call<'_>| forward(&case.layer, &weights, &call, false).unwrap_err().to_string();
    let (weights, call) = (case.weights(), case.call());
    assert_eq!(
        message(
            Weights {
                kernel: &case.kernel[1..],
                ..weights
            },
            call
        ),
        "recurrent layer: the kernel holds 47 numbers, expected 48 for the shape [features, gates * units]"
    );
    assert_eq!(
        message(
            weights,
            Call {
                dropout: Some(&case.kernel),
                ..call
            }
        ),
        "recurrent layer: the dropout mask holds 48 numbers, expected 24 for the shape [batch, features] or [gates, batch, features]"
    );
    assert_eq!(
        message(
            weights,
            Call {
                initial: Some(States { h: &case.h, c: None }),
                ..call
            }
        ),
        "recurrent layer: an LSTM has two states, h and c, and the other families have one"
    );
}
