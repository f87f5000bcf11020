//! The transformations along one axis, of tiles of `IN` inputs.

use std::mem::MaybeUninit;

use crate::nn::kernels::simd::Simd;

/// The points beside 0 and infinity, in opposite pairs: a tile of 6 has the first two, one of 8 all three.
const PAIRS: [f32; 3] = [1.0, 2.0, 0.5];

/// The coefficients of `t^0`, `t^2` and so on of the product of `t^2 - p^2` over the first `pairs` pairs of points, all but `without`.
const fn squares(pairs: usize, without: usize) -> [f32; PAIRS.len() + 1] {
    let mut product = [0.0; PAIRS.len() + 1];
    product[0] = 1.0;
    let mut pair = 0;
    while pair < pairs {
        if pair != without {
            let square = PAIRS[pair] * PAIRS[pair];
            let mut power = product.len() - 1;
            while power > 0 {
                product[power] = product[power - 1] - square * product[power];
                power -= 1;
            }
            product[0] *= -square;
        }
        pair += 1;
    }
    product
}

/// What is made of [`PAIRS`] for tiles of `IN` inputs.
struct Points<const IN: usize>;

impl<const IN: usize> Points<IN> {
    /// Pairs of points.
    const COUNT: usize = (IN - 2) / 2;
    /// [`squares`] of all pairs.
    const ALL: [f32; PAIRS.len() + 1] = squares(Self::COUNT, IN);
    /// [`squares`] of all pairs but the one.
    const OTHERS: [[f32; PAIRS.len() + 1]; PAIRS.len()] = [
        squares(Self::COUNT, 0),
        squares(Self::COUNT, 1),
        squares(Self::COUNT, 2),
    ];
    /// What the kernel's values at the points are multiplied with, the rows of `G`: 1 by the product of a point's distances from all
    /// others but infinity.
    const SCALES: [f32; IN] = {
        let mut scales = [1.0; IN];
        scales[0] = 1.0 / Self::ALL[0];
        let mut pair = 0;
        while pair < Self::COUNT {
            let square = PAIRS[pair] * PAIRS[pair];
            let (mut distances, mut other) = (2.0 * square, 0);
            while other < Self::COUNT {
                if other != pair {
                    distances *= square - PAIRS[other] * PAIRS[other];
                }
                other += 1;
            }
            scales[1 + 2 * pair] = 1.0 / distances;
            scales[2 + 2 * pair] = 1.0 / distances;
            pair += 1;
        }
        scales
    };
}

/// A transformation along both axes: of a tile `FROM` by `FROM` to one `TO` by `TO`, first down its columns, then along its rows. `load`
/// and `store` are told row and column.
#[inline(always)]
pub fn both_ways<S: Simd, const FROM: usize, const TO: usize>(
    s: S,
    load: impl Fn(usize, usize) -> S::Vector,
    along: impl Fn(&[S::Vector; FROM]) -> [S::Vector; TO],
    mut store: impl FnMut(usize, usize, S::Vector),
) {
    // Filling this with zeros first would cost a fifth of the transformation.
    let mut half = [[MaybeUninit::uninit(); FROM]; TO];
    for column in 0..FROM {
        let mut values = [s.splat(0.0); FROM];
        for (row, value) in values.iter_mut().enumerate() {
            *value = load(row, column);
        }
        for (half, value) in half.iter_mut().zip(along(&values)) {
            half[column].write(value);
        }
    }
    for (row, half) in half.iter().enumerate() {
        // SAFETY: each column has been written, in every row.
        let half = half.map(|value| unsafe { value.assume_init() });
        for (column, value) in along(&half).into_iter().enumerate() {
            store(row, column, value);
        }
    }
}

/// `A x`: the polynomial with coefficients `x` at the points.
#[inline(always)]
pub fn at_points<S: Simd, const N: usize, const IN: usize>(s: S, x: &[S::Vector; N]) -> [S::Vector; IN] {
    let mut values = [x[0]; IN];
    for pair in 0..Points::<IN>::COUNT {
        // Opposite points share their even and odd parts.
        let mut parts = [x[0], s.mul(s.splat(PAIRS[pair]), x[1])];
        for (power, coefficient) in x.iter().enumerate().skip(2) {
            parts[power % 2] = s.mul_add(to_the(s, pair, power), *coefficient, parts[power % 2]);
        }
        values[1 + 2 * pair] = s.add(parts[0], parts[1]);
        values[2 + 2 * pair] = s.sub(parts[0], parts[1]);
    }
    values[IN - 1] = x[N - 1];
    values
}

/// `Aᵀ m`: for each power the sum of `m`, each times its point to that power.
#[inline(always)]
pub fn from_points<S: Simd, const N: usize, const IN: usize>(s: S, m: &[S::Vector; IN]) -> [S::Vector; N] {
    let mut sums = [s.splat(0.0); N];
    sums[0] = m[0];
    for pair in 0..Points::<IN>::COUNT {
        let (plus, minus) = (m[1 + 2 * pair], m[2 + 2 * pair]);
        let parts = [s.add(plus, minus), s.sub(plus, minus)];
        for (power, sum) in sums.iter_mut().enumerate() {
            *sum = match (pair, power) {
                (0, 1..) => parts[power % 2],
                _ => s.mul_add(to_the(s, pair, power), parts[power % 2], *sum),
            };
        }
    }
    sums[N - 1] = s.add(sums[N - 1], m[IN - 1]);
    sums
}

/// A point to some power.
#[inline(always)]
fn to_the<S: Simd>(s: S, pair: usize, power: usize) -> S::Vector {
    let mut product = 1.0;
    for _ in 0..power {
        product *= PAIRS[pair];
    }
    s.splat(product)
}

/// Each of `m` times its row's factor in `G`.
#[inline(always)]
pub fn scaled<S: Simd, const IN: usize>(s: S, mut m: [S::Vector; IN]) -> [S::Vector; IN] {
    for (value, scale) in m.iter_mut().zip(Points::<IN>::SCALES) {
        *value = s.mul(s.splat(scale), *value);
    }
    m
}

/// `Bᵀ d`.
#[inline(always)]
pub fn input_transform<S: Simd, const IN: usize>(s: S, d: &[S::Vector; IN]) -> [S::Vector; IN] {
    /// The sum over `d`, every other from `first` on, times coefficients of which the last is 1.
    #[inline(always)]
    fn sum<S: Simd>(s: S, coefficients: &[f32], d: &[S::Vector], first: usize) -> S::Vector {
        let last = coefficients.len() - 1;
        let mut sum = d[first + 2 * last];
        for (power, coefficient) in coefficients.iter().enumerate().take(last) {
            sum = s.mul_add(s.splat(*coefficient), d[first + 2 * power], sum);
        }
        sum
    }
    let (all, pairs) = (&Points::<IN>::ALL, Points::<IN>::COUNT);
    let mut values = [d[0]; IN];
    values[0] = sum(s, &all[..=pairs], d, 0);
    for pair in 0..pairs {
        let others = &Points::<IN>::OTHERS[pair][..pairs];
        // Opposite points share their even and odd parts.
        let even = sum(s, others, d, 2);
        let odd = sum(s, others, d, 1);
        values[1 + 2 * pair] = s.mul_add(s.splat(PAIRS[pair]), odd, even);
        values[2 + 2 * pair] = s.mul_add(s.splat(-PAIRS[pair]), odd, even);
    }
    values[IN - 1] = sum(s, &all[..=pairs], d, 1);
    values
}
