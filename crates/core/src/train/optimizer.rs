//! The update rules of Keras 2.3.1's optimisers, on plain slices.
//!
//! With gradient `g`, rate `lr_t = lr / (1 + decay t)` and step `t` from 0, written as Keras writes them: epsilon stands outside the
//! root, and outside the correction of Adam's start at zero.

use rayon::prelude::*;

use crate::keras::optimizer::{Optimizer, Rule};
use crate::nn::kernels::simd::{Isa, vectorized};

/// An optimiser at work: its rule, its step count and what it remembers of every weight.
#[derive(Clone, Debug)]
pub struct Updater {
    optimizer: Optimizer,
    learning_rate: f32,
    step: u64,
    /// The product of Nadam's momenta so far.
    momentum_schedule: f64,
    slots: Vec<Slots>,
}

/// What an optimiser remembers of one weight tensor: up to three values a weight, by their meaning in the rule.
#[derive(Clone, Debug, Default)]
struct Slots([Vec<f32>; 3]);

impl Updater {
    /// The optimiser before its first step, for weight tensors of these lengths.
    #[must_use]
    pub fn new(optimizer: Optimizer, lengths: &[usize]) -> Self {
        let fills: &[f32] = match optimizer.rule {
            Rule::Sgd { momentum: 0.0, .. } => &[],
            Rule::Sgd { .. } => &[0.0],
            Rule::Adagrad {
                initial_accumulator_value,
                ..
            } => &[initial_accumulator_value as f32],
            Rule::RmsProp { momentum, centered, .. } if momentum == 0.0 && !centered => &[0.0],
            Rule::RmsProp { .. } | Rule::Adam { amsgrad: true, .. } => &[0.0; 3],
            Rule::Adam { .. } | Rule::Adadelta { .. } | Rule::Adamax { .. } | Rule::Nadam { .. } => &[0.0; 2],
            Rule::Ftrl {
                initial_accumulator_value,
                ..
            } => &[initial_accumulator_value as f32, 0.0],
        };
        let slots = lengths
            .iter()
            .map(|&length| {
                let mut slots = Slots::default();
                slots
                    .0
                    .iter_mut()
                    .zip(fills)
                    .for_each(|(slot, &fill)| *slot = vec![fill; length]);
                slots
            })
            .collect();
        Self {
            learning_rate: optimizer.learning_rate as f32,
            optimizer,
            step: 0,
            momentum_schedule: 1.0,
            slots,
        }
    }

    /// The present rate, before decay.
    #[must_use]
    pub fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    /// Goes on with another rate (what `ReduceLROnPlateau` asks for).
    pub fn set_learning_rate(&mut self, rate: f32) {
        self.learning_rate = rate;
    }

    /// Starts one step: clips the gradients of all weight tensors in place if the optimiser says so. Afterwards call [`Step::update`]
    /// once for each weight tensor that has one.
    pub fn begin(&mut self, gradients: &mut [Option<Vec<f32>>]) -> Step<'_> {
        clip(&self.optimizer, gradients);
        let t = self.step as f64 + 1.0;
        let mut lr = f64::from(self.learning_rate) / (1.0 + self.optimizer.decay * self.step as f64);
        let mut nadam = Nadam::default();
        match self.optimizer.rule {
            Rule::Adam { beta_1, beta_2, .. } => {
                lr *= (1.0 - beta_2.powf(t)).sqrt() / (1.0 - beta_1.powf(t));
            }
            Rule::Adamax { beta_1, .. } => lr /= 1.0 - beta_1.powf(t),
            Rule::Nadam {
                beta_1,
                beta_2,
                schedule_decay,
                ..
            } => {
                let momentum = |t: f64| beta_1 * (1.0 - 0.5 * 0.96_f64.powf(t * schedule_decay));
                let (now, next) = (momentum(t), momentum(t + 1.0));
                self.momentum_schedule *= now;
                nadam = Nadam {
                    gradient: ((1.0 - now) / (1.0 - self.momentum_schedule)) as f32,
                    mean: (next / (1.0 - self.momentum_schedule * next)) as f32,
                    square: (1.0 / (1.0 - beta_2.powf(t))) as f32,
                };
            }
            _ => {}
        }
        self.step += 1;
        Step {
            updater: self,
            rate: lr as f32,
            nadam,
        }
    }
}

/// The factors of Nadam's step on gradient, running mean and running mean square.
#[derive(Clone, Copy, Debug, Default)]
struct Nadam {
    gradient: f32,
    mean: f32,
    square: f32,
}

/// One step of an optimiser.
#[derive(Debug)]
pub struct Step<'a> {
    updater: &'a mut Updater,
    rate: f32,
    nadam: Nadam,
}

/// Weights that one thread updates at a time.
const CHUNK: usize = 1 << 14;

impl Step<'_> {
    /// Updates weight tensor number `index` by its gradient.
    #[expect(
        clippy::too_many_lines,
        reason = "the rules of all optimisers side by side, a few lines each"
    )]
    pub fn update(&mut self, index: usize, weights: &mut [f32], gradient: &[f32]) {
        let (w, g) = (weights, gradient);
        let lr = self.rate;
        let [a, b, c] = &mut self.updater.slots[index].0;
        match self.updater.optimizer.rule {
            Rule::Sgd { momentum: 0.0, .. } => each1(w, g, |w, g| *w -= lr * g),
            Rule::Sgd { momentum, nesterov } => {
                let momentum = momentum as f32;
                each2(w, g, a, |w, g, velocity| {
                    *velocity = momentum * *velocity - lr * g;
                    *w += if nesterov {
                        momentum * *velocity - lr * g
                    } else {
                        *velocity
                    };
                });
            }
            Rule::RmsProp {
                rho,
                epsilon,
                momentum: 0.0,
                centered: false,
            } => {
                let (rho, epsilon) = (rho as f32, epsilon as f32);
                each2(w, g, a, |w, g, square| {
                    *square = rho * *square + (1.0 - rho) * g * g;
                    *w -= lr * g / (square.sqrt() + epsilon);
                });
            }
            Rule::RmsProp {
                rho,
                epsilon,
                momentum,
                centered,
            } => {
                let (rho, epsilon, momentum) = (rho as f32, epsilon as f32, momentum as f32);
                each4(w, g, a, b, c, |w, g, square, mean, velocity| {
                    *square = rho * *square + (1.0 - rho) * g * g;
                    let mut spread = *square;
                    if centered {
                        *mean = rho * *mean + (1.0 - rho) * g;
                        spread = (spread - *mean * *mean).max(0.0);
                    }
                    if momentum > 0.0 {
                        *velocity = momentum * *velocity + lr * g / (spread + epsilon).sqrt();
                        *w -= *velocity;
                    } else {
                        *w -= lr * g / (spread.sqrt() + epsilon);
                    }
                });
            }
            Rule::Adagrad { epsilon, .. } => {
                let epsilon = epsilon as f32;
                each2(w, g, a, |w, g, sum| {
                    *sum += g * g;
                    *w -= lr * g / (sum.sqrt() + epsilon);
                });
            }
            Rule::Adadelta { rho, epsilon } => {
                let (rho, epsilon) = (rho as f32, epsilon as f32);
                each3(w, g, a, b, |w, g, square, steps| {
                    *square = rho * *square + (1.0 - rho) * g * g;
                    let update = g * (*steps + epsilon).sqrt() / (*square + epsilon).sqrt();
                    *w -= lr * update;
                    *steps = rho * *steps + (1.0 - rho) * update * update;
                });
            }
            Rule::Adam {
                beta_1,
                beta_2,
                epsilon,
                amsgrad,
            } => {
                let (b1, b2, epsilon) = (beta_1 as f32, beta_2 as f32, epsilon as f32);
                if amsgrad {
                    each4(w, g, a, b, c, |w, g, mean, square, largest| {
                        *mean = b1 * *mean + (1.0 - b1) * g;
                        *square = b2 * *square + (1.0 - b2) * g * g;
                        *largest = largest.max(*square);
                        *w -= lr * *mean / (largest.sqrt() + epsilon);
                    });
                } else {
                    each3(w, g, a, b, |w, g, mean, square| {
                        *mean = b1 * *mean + (1.0 - b1) * g;
                        *square = b2 * *square + (1.0 - b2) * g * g;
                        *w -= lr * *mean / (square.sqrt() + epsilon);
                    });
                }
            }
            Rule::Adamax {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let (b1, b2, epsilon) = (beta_1 as f32, beta_2 as f32, epsilon as f32);
                each3(w, g, a, b, |w, g, mean, norm| {
                    *mean = b1 * *mean + (1.0 - b1) * g;
                    *norm = (b2 * *norm).max(g.abs());
                    *w -= lr * *mean / (*norm + epsilon);
                });
            }
            Rule::Nadam {
                beta_1,
                beta_2,
                epsilon,
                ..
            } => {
                let (b1, b2, epsilon) = (beta_1 as f32, beta_2 as f32, epsilon as f32);
                let factor = self.nadam;
                each3(w, g, a, b, |w, g, mean, square| {
                    *mean = b1 * *mean + (1.0 - b1) * g;
                    *square = b2 * *square + (1.0 - b2) * g * g;
                    let ahead = factor.gradient * g + factor.mean * *mean;
                    *w -= lr * ahead / ((factor.square * *square).sqrt() + epsilon);
                });
            }
            // The rule divides by the rate; at rate 0 no weight moves.
            Rule::Ftrl { .. } if lr == 0.0 => {}
            Rule::Ftrl {
                learning_rate_power,
                l1_regularization_strength,
                l2_regularization_strength,
                l2_shrinkage_regularization_strength,
                beta,
                ..
            } => {
                let (l1, shrinkage) = (
                    l1_regularization_strength as f32,
                    l2_shrinkage_regularization_strength as f32,
                );
                let l2 = l2_regularization_strength as f32 + beta as f32 / (2.0 * lr);
                let power = -learning_rate_power as f32;
                let powered = |sum: f32| if power == 0.5 { sum.sqrt() } else { sum.powf(power) };
                each3(w, g, a, b, |w, g, sum, linear| {
                    let grown = *sum + g * g;
                    *linear += g + 2.0 * shrinkage * *w - (powered(grown) - powered(*sum)) / lr * *w;
                    *sum = grown;
                    // With no gradient and no start there is nothing to divide by, and nothing to move.
                    let quadratic = powered(grown) / lr + 2.0 * l2;
                    *w = if quadratic > 0.0 {
                        (linear.clamp(-l1, l1) - *linear) / quadratic
                    } else {
                        0.0
                    };
                });
            }
        }
    }
}

/// Scales all gradients down so that their common norm is `clipnorm` at the most, and cuts each component to `clipvalue`.
fn clip(optimizer: &Optimizer, gradients: &mut [Option<Vec<f32>>]) {
    if let Some(limit) = optimizer.clipnorm {
        let square: f64 = gradients
            .iter()
            .flatten()
            .flatten()
            .map(|&g| f64::from(g).powi(2))
            .sum();
        let norm = square.sqrt();
        if norm > limit {
            let scale = (limit / norm) as f32;
            gradients.iter_mut().flatten().flatten().for_each(|g| *g *= scale);
        }
    }
    if let Some(limit) = optimizer.clipvalue {
        let limit = limit as f32;
        gradients
            .iter_mut()
            .flatten()
            .flatten()
            .for_each(|g| *g = g.clamp(-limit, limit));
    }
}

/// Runs plain loops compiled for the best instruction set: the compiler makes vectors of them, roots and quotients included.
macro_rules! in_vectors {
    ($isa:expr, for $values:pat in $iterator:expr => $body:expr) => {
        vectorized(
            $isa,
            #[inline(always)]
            || {
                for $values in $iterator {
                    $body;
                }
            },
        )
    };
}

fn each1(w: &mut [f32], g: &[f32], f: impl Fn(&mut f32, f32) + Sync) {
    let isa = Isa::current();
    w.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .for_each(|(w, g)| in_vectors!(isa, for (w, g) in w.iter_mut().zip(g) => f(w, *g)));
}

fn each2(w: &mut [f32], g: &[f32], a: &mut [f32], f: impl Fn(&mut f32, f32, &mut f32) + Sync) {
    let isa = Isa::current();
    w.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(a.par_chunks_mut(CHUNK))
        .for_each(|((w, g), a)| in_vectors!(isa, for ((w, g), a) in w.iter_mut().zip(g).zip(a) => f(w, *g, a)));
}

fn each3(w: &mut [f32], g: &[f32], a: &mut [f32], b: &mut [f32], f: impl Fn(&mut f32, f32, &mut f32, &mut f32) + Sync) {
    let isa = Isa::current();
    w.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(a.par_chunks_mut(CHUNK))
        .zip(b.par_chunks_mut(CHUNK))
        .for_each(
            |(((w, g), a), b)| in_vectors!(isa, for (((w, g), a), b) in w.iter_mut().zip(g).zip(a).zip(b) => f(w, *g, a, b)),
        );
}

fn each4(
    w: &mut [f32],
    g: &[f32],
    a: &mut [f32],
    b: &mut [f32],
    c: &mut [f32],
    f: impl Fn(&mut f32, f32, &mut f32, &mut f32, &mut f32) + Sync,
) {
    let isa = Isa::current();
    let chunks = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
    let slots = a
        .par_chunks_mut(CHUNK)
        .zip(b.par_chunks_mut(CHUNK))
        .zip(c.par_chunks_mut(CHUNK));
    chunks.zip(slots).for_each(|((w, g), ((a, b), c))| {
        in_vectors!(isa, for ((((w, g), a), b), c) in w.iter_mut().zip(g).zip(a).zip(b).zip(c) => f(w, *g, a, b, c));
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The weights after each of three steps.
    fn steps(name: &str, options: &Value) -> Vec<Vec<f32>> {
        let optimizer =
            Optimizer::from_form(&json!({"optimizer_type": name, "optimizer_options": options})).expect("an optimiser");
        let mut updater = Updater::new(optimizer, &[4]);
        let mut weights = vec![1.0, -2.0, 0.5, 0.0];
        let gradients = [[0.1, -0.2, 0.3, 0.0], [-0.5, 0.25, 0.125, 1.0], [1.0, 2.0, -3.0, 0.5]];
        gradients
            .iter()
            .map(|gradient| {
                let mut gradients = [Some(gradient.to_vec())];
                let mut step = updater.begin(&mut gradients);
                step.update(0, &mut weights, gradient);
                weights.clone()
            })
            .collect()
    }

    fn assert_close(found: &[Vec<f32>], expected: &[[f32; 4]]) {
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() <= 2e-6, "{found} is not {expected}");
        }
    }

    /// Weights of `tf.keras.optimizers.Ftrl` (Keras 2.15) after the same steps from the same start.
    #[test]
    fn ftrl_steps_as_keras_does() {
        assert_close(
            &steps("Ftrl", &json!({"learning_rate": 0.001})),
            &[
                [0.046_235_897, -0.309_156_98, 0.136_573_63, 0.0],
                [0.047_069_23, -0.309_712_56, 0.136_297_97, -0.000_953_462_73],
                [0.046_211_734, -0.310_688_2, 0.137_286_74, -0.001_383_794_1],
            ],
        );
        assert_close(
            &steps(
                "Ftrl",
                &json!({"learning_rate": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.2,
                        "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02,
                        "l2_shrinkage_regularization_strength": 0.03, "beta": 0.04}),
            ),
            &[
                [-0.009_854_476, -0.134_009_63, 0.030_451_25, 0.0],
                [0.067_080_57, -0.184_732_75, 0.004_036_995_6, -0.083_889_28],
                [-0.005_955_808, -0.255_232_1, 0.066_406_61, -0.120_798_1],
            ],
        );
    }

    #[test]
    fn ftrl_at_rate_zero_leaves_the_weights_alone() {
        let still = vec![1.0, -2.0, 0.5, 0.0];
        assert_eq!(steps("Ftrl", &json!({"learning_rate": 0.0})), vec![still; 3]);
    }
}
