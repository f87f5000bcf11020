//! How far our numbers are from Keras's, and how far they may be.

use crate::tensor::Tensor;

/// What is compared, with the tolerance that holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// What the network predicts.
    Prediction,
    /// The loss of a batch, penalties included.
    Loss,
    /// The gradient of the loss for each trained weight.
    Gradient,
    /// The weights after one step of training.
    OneStep,
    /// The weights after twenty steps of training, and what the network predicts then.
    TwentySteps,
    /// The values of a metric.
    Metric,
    /// Loss, metrics and learning rate of each epoch of a run, and the weights behind it.
    Run,
    /// How weights start.
    Start,
    /// What is drawn at random, as a distribution.
    Noise,
}

impl Quantity {
    /// All of them, in the page's order.
    pub const ALL: [Self; 9] = [
        Self::Prediction,
        Self::Loss,
        Self::Gradient,
        Self::OneStep,
        Self::TwentySteps,
        Self::Metric,
        Self::Run,
        Self::Start,
        Self::Noise,
    ];

    /// Its name in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prediction => "prediction",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::OneStep => "1 step",
            Self::TwentySteps => "20 steps",
            Self::Metric => "metric",
            Self::Run => "run",
            Self::Start => "start",
            Self::Noise => "noise",
        }
    }

    /// The largest deviation that passes.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Prediction | Self::Loss | Self::Metric => 1e-5,
            Self::Gradient | Self::OneStep | Self::TwentySteps | Self::Run => 1e-4,
            Self::Start => 0.0,
            Self::Noise => 2.2,
        }
    }

    /// Why the tolerance is what it is.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Prediction | Self::Loss | Self::Metric => {
                "of the largest number of the tensor: sums of 32-bit numbers in another order"
            }
            Self::Gradient | Self::OneStep => {
                "of the largest number of the tensor: products of such sums, forward and backward"
            }
            Self::TwentySteps | Self::Run => {
                "of the largest number of the tensor: each step starts from the rounding of the one before"
            }
            Self::Start => "initialisers without randomness give the same numbers",
            Self::Noise => {
                "Kolmogorov and Smirnov's distance of two samples of n numbers, times the root of n/2: equal distributions pass it once in \
                 eight thousand comparisons"
            }
        }
    }
}

/// Tensors all of whose numbers are below this are compared as if their largest were this: what is left of a difference of larger
/// numbers is their rounding.
pub const FLOOR: f64 = 1e-2;

/// The largest difference of two tensors, as a part of the largest number of Keras's; infinite when they do not compare.
pub fn relative(ours: &[f32], keras: &Tensor) -> f64 {
    if ours.len() != keras.values.len() {
        return f64::INFINITY;
    }
    let finite = keras.values.iter().filter(|value| value.is_finite());
    let largest = finite.fold(FLOOR, |largest, value| largest.max(f64::from(value.abs())));
    let pairs = ours.iter().zip(&keras.values);
    pairs
        .map(|(&a, &b)| difference(f64::from(a), f64::from(b)) / largest)
        .fold(0.0, f64::max)
}

/// The difference of two numbers as a part of Keras's.
pub fn relative_number(ours: f64, keras: f64) -> f64 {
    difference(ours, keras) / if keras.is_finite() { keras.abs().max(FLOOR) } else { 1.0 }
}

/// Zero for two that are both not a number or the same infinity, infinite if only one is.
fn difference(a: f64, b: f64) -> f64 {
    if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) {
        0.0
    } else if a.is_finite() && b.is_finite() {
        (a - b).abs()
    } else {
        f64::INFINITY
    }
}

/// The first and largest place where two tensors differ, in words.
pub fn worst(ours: &[f32], keras: &Tensor) -> String {
    if ours.len() != keras.values.len() {
        return format!(
            "{} numbers, in Keras {} of shape {:?}",
            ours.len(),
            keras.values.len(),
            keras.shape
        );
    }
    let mut at = 0;
    let mut most = -1.0;
    for (index, (&a, &b)) in ours.iter().zip(&keras.values).enumerate() {
        let off = difference(f64::from(a), f64::from(b));
        if off > most {
            (at, most) = (index, off);
        }
    }
    format!(
        "number {at} of {:?} is {}, in Keras {}",
        keras.shape, ours[at], keras.values[at]
    )
}

/// Kolmogorov and Smirnov's distance between two samples, in units in which 2.2 is passed by chance once in eight thousand times.
pub fn distance(ours: &[f32], keras: &[f32]) -> f64 {
    let sorted = |sample: &[f32]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f32::total_cmp);
        sorted
    };
    let (first, second) = (sorted(ours), sorted(keras));
    let (count, other) = (first.len() as f64, second.len() as f64);
    let (mut at, mut beside, mut largest) = (0, 0, 0.0_f64);
    while at < first.len() && beside < second.len() {
        // The same number computed in two ways differs in its last digits.
        let step = first[at].min(second[beside]);
        let step = step + step.abs() * 1e-4 + 1e-5;
        while at < first.len() && first[at] <= step {
            at += 1;
        }
        while beside < second.len() && second[beside] <= step {
            beside += 1;
        }
        largest = largest.max((at as f64 / count - beside as f64 / other).abs());
    }
    largest * (count * other / (count + other)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_parts_of_the_largest_number() {
        let keras = Tensor::new(&[2], vec![1.0, -4.0]);
        assert!((relative(&[1.1, -4.0], &keras) - 0.025).abs() < 1e-6);
        assert_eq!(worst(&[1.5, -4.0], &keras), "number 0 of [2] is 1.5, in Keras 1");
        assert!((relative(&[1e-3], &Tensor::new(&[1], vec![0.0])) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn what_is_not_finite_must_be_so_on_both_sides() {
        let keras = Tensor::new(&[2], vec![f32::NAN, f32::INFINITY]);
        assert!(relative(&[f32::NAN, f32::INFINITY], &keras).abs() < 1e-12);
        assert!(relative(&[0.0, f32::INFINITY], &keras).is_infinite());
        assert!(relative(&[f32::NAN, f32::NEG_INFINITY], &keras).is_infinite());
        assert!(relative(&[1.0], &keras).is_infinite());
    }

    #[test]
    fn samples_are_as_far_apart_as_their_distributions() {
        let even: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let odd: Vec<f32> = (0..1000).map(|i| i as f32 + 0.5).collect();
        let moved: Vec<f32> = (0..1000).map(|i| i as f32 + 200.0).collect();
        assert!(distance(&even, &odd) < 0.1);
        assert!((distance(&even, &moved) - 0.2 * 500.0_f64.sqrt()).abs() < 0.05);
        assert!(distance(&[1.0; 100], &[1.000_001; 100]) < 1e-9);
    }
}
