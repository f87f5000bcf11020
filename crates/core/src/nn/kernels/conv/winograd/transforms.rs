//! The transformations along one axis.

use super::IN;
use crate::nn::kernels::simd::Simd;

/// What the kernel's values at the points are multiplied with: the rows of `G`.
const SCALES: [f32; IN] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];

/// A transformation along both axes: of a tile `FROM` by `FROM` to one `TO` by `TO`, first down its columns, then along its rows. `load`
/// and `store` are told row and column.
#[inline(always)]
pub fn both_ways<S: Simd, const FROM: usize, const TO: usize>(
    s: S,
    load: impl Fn(usize, usize) -> S::Vector,
    along: impl Fn(&[S::Vector; FROM]) -> [S::Vector; TO],
    mut store: impl FnMut(usize, usize, S::Vector),
) {
    let mut half = [[s.splat(0.0); FROM]; TO];
    for column in 0..FROM {
        let mut values = [s.splat(0.0); FROM];
        for (row, value) in values.iter_mut().enumerate() {
            *value = load(row, column);
        }
        for (half, value) in half.iter_mut().zip(along(&values)) {
            half[column] = value;
        }
    }
    for (row, half) in half.iter().enumerate() {
        for (column, value) in along(half).into_iter().enumerate() {
            store(row, column, value);
        }
    }
}

/// `A x`: the polynomial with coefficients `x` at the points 0, 1, -1, 2, -2 and infinity.
#[inline(always)]
pub fn at_points<S: Simd, const N: usize>(s: S, x: &[S::Vector; N]) -> [S::Vector; IN] {
    // Opposite points share their even and odd parts.
    let mut near = [x[0], x[1]];
    let mut far = [x[0], s.add(x[1], x[1])];
    for (power, coefficient) in x.iter().enumerate().skip(2) {
        near[power % 2] = s.add(near[power % 2], *coefficient);
        far[power % 2] = s.mul_add(two_to(s, power), *coefficient, far[power % 2]);
    }
    [
        x[0],
        s.add(near[0], near[1]),
        s.sub(near[0], near[1]),
        s.add(far[0], far[1]),
        s.sub(far[0], far[1]),
        x[N - 1],
    ]
}

/// `Aᵀ m`: for each power the sum of `m`, each times its point to that power.
#[inline(always)]
pub fn from_points<S: Simd, const N: usize>(s: S, m: &[S::Vector; IN]) -> [S::Vector; N] {
    let near = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
    let far = [s.add(m[3], m[4]), s.sub(m[3], m[4])];
    let mut sums = [s.splat(0.0); N];
    for (power, sum) in sums.iter_mut().enumerate() {
        *sum = match power {
            0 => s.add(s.add(m[0], near[0]), far[0]),
            _ => s.mul_add(two_to(s, power), far[power % 2], near[power % 2]),
        };
    }
    sums[N - 1] = s.add(sums[N - 1], m[5]);
    sums
}

#[inline(always)]
fn two_to<S: Simd>(s: S, power: usize) -> S::Vector {
    s.splat((1_u32 << power) as f32)
}

/// Each of `m` times its row's factor in `G`.
#[inline(always)]
pub fn scaled<S: Simd>(s: S, mut m: [S::Vector; IN]) -> [S::Vector; IN] {
    for (value, scale) in m.iter_mut().zip(SCALES) {
        *value = s.mul(s.splat(scale), *value);
    }
    m
}

/// `Bᵀ d`.
#[inline(always)]
pub fn input_transform<S: Simd>(s: S, d: &[S::Vector; IN]) -> [S::Vector; IN] {
    let [d0, d1, d2, d3, d4, d5] = *d;
    let [two, minus_two, four, minus_four, minus_five] = [2.0, -2.0, 4.0, -4.0, -5.0].map(|value| s.splat(value));
    // Pairs of rows share their even and odd parts.
    let even = s.mul_add(minus_four, d2, d4);
    let odd = s.mul_add(minus_four, d1, d3);
    let (near, far) = (s.sub(d4, d2), s.sub(d3, d1));
    [
        s.mul_add(four, d0, s.mul_add(minus_five, d2, d4)),
        s.add(even, odd),
        s.sub(even, odd),
        s.mul_add(two, far, near),
        s.mul_add(minus_two, far, near),
        s.mul_add(four, d1, s.mul_add(minus_five, d3, d5)),
    ]
}
