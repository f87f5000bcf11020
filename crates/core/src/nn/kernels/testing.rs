//! What the kernels' tests share: values without a pattern, and slopes by finite differences.
#![allow(clippy::cast_precision_loss, reason = "small whole numbers")]

/// Values between -1 and 1 without a visible pattern, the same for the same seed.
pub fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    // The first few still show the seed.
    (0..len + 8).map(|_| next()).skip(8).collect()
}

/// Asserts that `got` is `want` up to `tolerance`, relative to the largest wanted value (or to 1 if that is less).
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*got) - want).abs();
        assert!(off <= tolerance * scale, "value {index} is {got}, not {want}");
    }
}

/// Asserts that `gradient` is the slope of `sum(weights * function(at))` at some places spread over `at`.
#[track_caller]
pub fn assert_slopes(gradient: &[f32], at: &[f32], weights: &[f32], function: impl Fn(&[f32]) -> Vec<f64>) {
    const PLACES: usize = 24;
    assert_eq!(gradient.len(), at.len());
    let scale = gradient
        .iter()
        .fold(1.0_f64, |most, value| most.max(f64::from(value.abs())));
    for place in 0..PLACES.min(at.len()) {
        let index = place * at.len() / PLACES.min(at.len());
        let want = slope(at, weights, index, &function);
        let off = (f64::from(gradient[index]) - want).abs();
        assert!(off <= 2e-4 * scale, "slope {index} is {}, not {want}", gradient[index]);
    }
}

fn slope(at: &[f32], weights: &[f32], index: usize, function: &impl Fn(&[f32]) -> Vec<f64>) -> f64 {
    const STEP: f32 = 1.0 / 4096.0;
    let side = |step: f32| {
        let mut moved = at.to_vec();
        moved[index] += step;
        let sum: f64 = function(&moved)
            .iter()
            .zip(weights)
            .map(|(y, w)| y * f64::from(*w))
            .sum();
        (sum, f64::from(moved[index]))
    };
    let ((up, right), (down, left)) = (side(STEP), side(-STEP));
    (up - down) / (right - left)
}
