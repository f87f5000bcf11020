//! The values that weights start with, by Keras's initialisers.

use rand_chacha::ChaCha8Rng;

use super::random::{self, Seed, Stream};
use crate::keras::initializer::{Distribution, FanMode, Initializer};

/// Standard deviation of a standard normal distribution cut off at two deviations; Keras widens by it what it then cuts.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// Values of `shape` for weight tensor number `index` of the model, from the job's seed or the initialiser's own.
#[must_use]
pub fn initialize(initializer: &Initializer, shape: &[usize], index: usize, seed: Seed) -> Vec<f32> {
    let len: usize = shape.iter().product();
    // An initialiser with a seed of its own gives the same values wherever it stands.
    let generator = |own: Option<i64>| match own {
        Some(own) => Seed(own.cast_unsigned()).stream(Stream::Weights(0)),
        None => seed.stream(Stream::Weights(index)),
    };
    match initializer {
        Initializer::Zeros => vec![0.0; len],
        Initializer::Ones => vec![1.0; len],
        Initializer::Constant { value } => vec![value.get() as f32; len],
        Initializer::RandomNormal { mean, stddev, seed } => {
            let (mean, deviation, mut generator) = (mean.get(), stddev.get(), generator(*seed));
            (0..len)
                .map(|_| (mean + deviation * random::normal(&mut generator)) as f32)
                .collect()
        }
        Initializer::RandomUniform { minval, maxval, seed } => {
            uniform(len, minval.get(), maxval.get(), &mut generator(*seed))
        }
        Initializer::TruncatedNormal { mean, stddev, seed } => {
            truncated_normal(len, mean.get(), stddev.get(), &mut generator(*seed))
        }
        Initializer::VarianceScaling {
            scale,
            mode,
            distribution,
            seed,
        } => {
            let variance = scale.get() / fan(*mode, shape);
            let mut generator = generator(*seed);
            match distribution {
                Distribution::Normal => {
                    truncated_normal(len, 0.0, variance.sqrt() / TRUNCATED_DEVIATION, &mut generator)
                }
                Distribution::UntruncatedNormal => (0..len)
                    .map(|_| (variance.sqrt() * random::normal(&mut generator)) as f32)
                    .collect(),
                Distribution::Uniform => {
                    let limit = (3.0 * variance).sqrt();
                    uniform(len, -limit, limit, &mut generator)
                }
            }
        }
        Initializer::Orthogonal { gain, seed } => {
            let columns = shape.last().copied().unwrap_or(1);
            orthogonal(len / columns.max(1), columns, gain.get(), &mut generator(*seed))
        }
        Initializer::Identity { gain } => {
            let columns = shape.last().copied().unwrap_or(1).max(1);
            (0..len)
                .map(|i| {
                    if i / columns == i % columns {
                        gain.get() as f32
                    } else {
                        0.0
                    }
                })
                .collect()
        }
    }
}

/// What the variance is divided by, at least 1: the units that feed one unit, that one feeds, or their mean.
fn fan(mode: FanMode, shape: &[usize]) -> f64 {
    let (fan_in, fan_out) = match shape {
        &[fan_in, fan_out] => (fan_in as f64, fan_out as f64),
        [window @ .., fan_in, fan_out] if (1..=3).contains(&window.len()) => {
            let cells = window.iter().product::<usize>() as f64;
            (*fan_in as f64 * cells, *fan_out as f64 * cells)
        }
        _ => {
            let side = (shape.iter().product::<usize>() as f64).sqrt();
            (side, side)
        }
    };
    let fan = match mode {
        FanMode::FanIn => fan_in,
        FanMode::FanOut => fan_out,
        FanMode::FanAvg => f64::midpoint(fan_in, fan_out),
    };
    fan.max(1.0)
}

fn uniform(len: usize, low: f64, high: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
    (0..len)
        .map(|_| (low + (high - low) * f64::from(random::uniform(generator))) as f32)
        .collect()
}

fn truncated_normal(len: usize, mean: f64, deviation: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let mut draw = || loop {
        let x = random::normal(generator);
        if x.abs() < 2.0 {
            return x;
        }
    };
    (0..len).map(|_| (mean + deviation * draw()) as f32).collect()
}

/// A matrix whose columns (or rows, if there are fewer of them) are orthonormal, times `gain`.
///
/// Gram and Schmidt's orthogonalisation of normal vectors, each done twice against rounding; a basis found so is uniformly
/// distributed over all of them.
fn orthogonal(rows: usize, columns: usize, gain: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| random::normal(generator)).collect();
        for _ in 0..2 {
            for other in &basis {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            for x in &mut vector {
                *x /= norm;
            }
            basis.push(vector);
        }
    }
    let at = |row: usize, column: usize| {
        if rows < columns {
            basis[row][column]
        } else {
            basis[column][row]
        }
    };
    (0..rows * columns)
        .map(|i| (gain * at(i / columns, i % columns)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keras::field::Number;

    fn moments(values: &[f32]) -> (f64, f64) {
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance)
    }

    #[test]
    fn variance_scaling_has_the_variance_it_says() {
        for (mode, fan) in [
            (FanMode::FanIn, 9.0 * 50.0),
            (FanMode::FanOut, 9.0 * 100.0),
            (FanMode::FanAvg, 9.0 * 75.0),
        ] {
            for distribution in [
                Distribution::Normal,
                Distribution::Uniform,
                Distribution::UntruncatedNormal,
            ] {
                let initializer = Initializer::VarianceScaling {
                    scale: Number::Float(2.0),
                    mode,
                    distribution,
                    seed: None,
                };
                let (mean, variance) = moments(&initialize(&initializer, &[3, 3, 50, 100], 0, Seed(1)));
                assert!(mean.abs() < 2e-3, "{mean}");
                assert!(
                    (variance * fan / 2.0 - 1.0).abs() < 0.03,
                    "{mode:?} {distribution:?}: {variance}"
                );
            }
        }
    }

    #[test]
    fn orthogonal_rows_or_columns_have_norm_gain_and_no_common_part() {
        for (rows, columns) in [(7, 4), (4, 7), (5, 5)] {
            let initializer = Initializer::Orthogonal {
                gain: Number::Float(2.0),
                seed: None,
            };
            let matrix = initialize(&initializer, &[rows, columns], 0, Seed(3));
            let at = |i: usize, k: usize| {
                f64::from(if rows < columns {
                    matrix[i * columns + k]
                } else {
                    matrix[k * columns + i]
                })
            };
            for i in 0..rows.min(columns) {
                for j in 0..rows.min(columns) {
                    let dot: f64 = (0..rows.max(columns)).map(|k| at(i, k) * at(j, k)).sum();
                    assert!((dot - if i == j { 4.0 } else { 0.0 }).abs() < 1e-5, "{dot}");
                }
            }
        }
    }

    #[test]
    fn an_own_seed_gives_the_same_values_everywhere() {
        let own = Initializer::RandomNormal {
            mean: Number::Int(0),
            stddev: Number::Int(1),
            seed: Some(5),
        };
        assert_eq!(initialize(&own, &[4], 0, Seed(1)), initialize(&own, &[4], 9, Seed(2)));
        let free = Initializer::RandomNormal {
            mean: Number::Int(0),
            stddev: Number::Int(1),
            seed: None,
        };
        assert_ne!(initialize(&free, &[4], 0, Seed(1)), initialize(&free, &[4], 9, Seed(1)));
        assert_ne!(initialize(&free, &[4], 0, Seed(1)), initialize(&free, &[4], 0, Seed(2)));
    }

    #[test]
    fn truncated_normal_stays_within_two_deviations() {
        let initializer = Initializer::TruncatedNormal {
            mean: Number::Int(1),
            stddev: Number::Float(0.5),
            seed: None,
        };
        let values = initialize(&initializer, &[10_000], 0, Seed(1));
        assert!(values.iter().all(|x| (0.0..=2.0).contains(x)));
        assert!(values.iter().any(|x| (x - 1.0).abs() > 0.9));
    }
}
