//! The loops over lines: vectors of neighbouring values, whatever channels they belong to.
//!
//! The kernel repeats with the channels, so each tap's is written out over some hundred values, and a line is walked in pieces that
//! long: with three channels as with three hundred, every lane of a vector has something to do.

use super::field::Field;
use crate::nn::kernels::conv::tile::store;
use crate::nn::kernels::simd::{Isa, Simd, Work};
use crate::nn::threads::Aligned;

/// Vectors of a line that are computed together.
const VECTORS: usize = 4;
/// Taps whose gradient is summed in registers at once, with two vectors each.
const TAPS: usize = 6;

/// A kernel (and bias) written out over the pieces that lines are walked in.
pub struct Periodic {
    period: Period,
    /// `[taps, padded]`
    kernel: Aligned,
    /// `[padded]`
    bias: Aligned,
}

/// How long a piece of a line is.
#[derive(Clone, Copy)]
struct Period {
    /// Its values: a multiple of the channels, or all of the line.
    len: usize,
    /// The same, up to whole tiles of vectors.
    padded: usize,
}

impl Period {
    fn new(lanes: usize, field: &Field) -> Self {
        /// Long enough for vectors, short enough for the kernel to stay in the first cache.
        const LEAST: usize = 256;
        let len = (LEAST.div_ceil(field.filters) * field.filters).min(field.line_len);
        Self {
            len,
            padded: len.next_multiple_of(VECTORS * lanes),
        }
    }
}

impl Periodic {
    /// Writes out a kernel `[taps, filters]`.
    pub fn new(isa: Isa, field: &Field, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        let period = Period::new(isa.lanes(), field);
        let mut written = Self {
            period,
            kernel: Aligned::zeroed(field.taps.len() * period.padded),
            bias: Aligned::zeroed(period.padded),
        };
        let taps = kernel.chunks_exact(field.filters);
        for (to, from) in written.kernel.chunks_exact_mut(period.padded).zip(taps) {
            to[..period.len]
                .chunks_exact_mut(field.filters)
                .for_each(|to| to.copy_from_slice(from));
        }
        if let Some(bias) = bias {
            written.bias[..period.len]
                .chunks_exact_mut(field.filters)
                .for_each(|to| to.copy_from_slice(bias));
        }
        written
    }

    /// Values of a kernel that is written out.
    pub fn len(isa: Isa, field: &Field) -> usize {
        field.taps.len() * Period::new(isa.lanes(), field).padded
    }

    /// A gradient for a written-out kernel, folded to the kernel's own: `[taps, filters]`.
    pub fn fold(field: &Field, written: &[f32]) -> Vec<f32> {
        let (filters, taps) = (field.filters, field.taps.len());
        let padded = written.len() / taps;
        let mut kernel = vec![0.0; taps * filters];
        for (to, from) in kernel.chunks_exact_mut(filters).zip(written.chunks_exact(padded)) {
            // Behind the period there are zeros, which no chunk of filters may straddle.
            for from in from.chunks(filters) {
                to.iter_mut()
                    .zip(from)
                    .for_each(|(sum, value): (&mut f32, _)| *sum += value);
            }
        }
        kernel
    }
}

/// The pieces of all lines: `visit(place, at, len)` for `len` values of the output from `at` on, whose taps read from `place` on.
#[inline(always)]
fn for_each_piece(field: &Field, period: usize, mut visit: impl FnMut(usize, usize, usize)) {
    for (line, place) in field.lines.iter().enumerate() {
        let mut from = 0;
        while from < field.line_len {
            visit(
                place + from,
                line * field.line_len + from,
                period.min(field.line_len - from),
            );
            from += period;
        }
    }
}

/// `y` of one row from its field.
pub struct Forward<'a> {
    pub field: &'a Field,
    pub kernel: &'a Periodic,
    pub values: &'a [f32],
    pub y: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            field,
            kernel,
            values,
            y,
        } = self;
        let padded = kernel.period.padded;
        check(field, values, y.len(), VECTORS * S::LANES);
        let (values, kernel_at, bias) = (values.as_ptr(), kernel.kernel.as_ptr(), kernel.bias.as_ptr());
        let y = y.as_mut_ptr();
        for_each_piece(field, kernel.period.len, |place, at, len| {
            let mut i = 0;
            while i < len {
                // SAFETY: `check` has seen that lines and taps lie in the field, with a tile of vectors to spare behind it; the
                // written-out kernel and bias have whole tiles; `store` writes the piece's own values only.
                unsafe {
                    let mut sums = [s.splat(0.0); VECTORS];
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = s.load(bias.add(i + v * S::LANES));
                    }
                    for (tap, offset) in field.taps.iter().enumerate() {
                        let x = values.add(place + offset + i);
                        let kernel = kernel_at.add(tap * padded + i);
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let at = v * S::LANES;
                            *sum = s.mul_add(s.load(x.add(at)), s.load(kernel.add(at)), *sum);
                        }
                    }
                    store(s, y.add(at + i), len - i, &sums);
                }
                i += VECTORS * S::LANES;
            }
        });
    }
}

/// Adds the gradient for a field of one row.
pub struct InputGradient<'a> {
    pub field: &'a Field,
    pub kernel: &'a Periodic,
    pub dy: &'a [f32],
    pub slopes: &'a mut [f32],
}

impl Work for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            field,
            kernel,
            dy,
            slopes,
        } = self;
        let padded = kernel.period.padded;
        check(field, slopes, dy.len(), VECTORS * S::LANES);
        let (dy, kernel_at, slopes) = (dy.as_ptr(), kernel.kernel.as_ptr(), slopes.as_mut_ptr());
        for_each_piece(field, kernel.period.len, |place, at, len| {
            let mut i = 0;
            while i < len {
                // SAFETY: as in `Forward`; behind the piece's end `dy` is read as zeros, which change nothing where they are added.
                unsafe {
                    let dy: [S::Vector; VECTORS] = load_tile(s, dy.add(at + i), len - i);
                    for (tap, offset) in field.taps.iter().enumerate() {
                        let to = slopes.add(place + offset + i);
                        let kernel = kernel_at.add(tap * padded + i);
                        for (v, dy) in dy.iter().enumerate() {
                            let at = v * S::LANES;
                            let before = s.load(to.add(at).cast_const());
                            s.store(to.add(at), s.mul_add(*dy, s.load(kernel.add(at)), before));
                        }
                    }
                }
                i += VECTORS * S::LANES;
            }
        });
    }
}

/// Adds the gradient for the written-out kernel of one row.
pub struct KernelGradient<'a> {
    pub field: &'a Field,
    pub values: &'a [f32],
    pub dy: &'a [f32],
    pub sum: &'a mut [f32],
}

impl Work for KernelGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const PAIR: usize = 2;
        let Self { field, values, dy, sum } = self;
        let period = Period::new(S::LANES, field);
        check(field, values, dy.len(), PAIR * S::LANES);
        assert_eq!(sum.len(), field.taps.len() * period.padded);
        let (values, dy, sum) = (values.as_ptr(), dy.as_ptr(), sum.as_mut_ptr());
        let mut i = 0;
        while i < period.len {
            for (group, taps) in field.taps.chunks(TAPS).enumerate() {
                let mut offsets = [0; TAPS];
                for (p, offset) in offsets.iter_mut().enumerate() {
                    // The last group repeats its last tap, whose sum is not stored again.
                    *offset = taps[p.min(taps.len() - 1)];
                }
                let mut sums = [[s.splat(0.0); PAIR]; TAPS];
                for_each_piece(field, period.len, |place, at, len| {
                    if i >= len {
                        return;
                    }
                    // SAFETY: as in `Forward`; behind the piece's end `dy` is read as zeros.
                    unsafe {
                        let slopes: [S::Vector; PAIR] = load_tile(s, dy.add(at + i), len - i);
                        for (sums, offset) in sums.iter_mut().zip(offsets) {
                            let x = values.add(place + offset + i);
                            for (v, sum) in sums.iter_mut().enumerate() {
                                *sum = s.mul_add(s.load(x.add(v * S::LANES)), slopes[v], *sum);
                            }
                        }
                    }
                });
                for (p, sums) in sums.iter().enumerate().take(taps.len()) {
                    // SAFETY: `sum` has whole tiles for each tap.
                    unsafe {
                        let to = sum.add((group * TAPS + p) * period.padded + i);
                        for (v, vector) in sums.iter().enumerate() {
                            let to = to.add(v * S::LANES);
                            s.store(to, s.add(s.load(to.cast_const()), *vector));
                        }
                    }
                }
            }
            i += PAIR * S::LANES;
        }
    }
}

/// Some vectors of the `left` values from `from` on, then zeros.
///
/// # Safety
/// That many can be read.
#[inline(always)]
unsafe fn load_tile<S: Simd, const V: usize>(s: S, from: *const f32, left: usize) -> [S::Vector; V] {
    let mut tile = [s.splat(0.0); V];
    for (v, vector) in tile.iter_mut().enumerate() {
        let at = v * S::LANES;
        if left > at {
            // SAFETY: as the caller vouches.
            *vector = unsafe { s.load_up_to(from.add(at), left - at) };
        }
    }
    tile
}

/// What the loops take for granted: a field with a tile of vectors to spare, and the output of one row.
#[inline(always)]
fn check(field: &Field, values: &[f32], output: usize, tile: usize) {
    let reach =
        field.lines.iter().max().copied().unwrap_or(0) + field.taps.iter().max().copied().unwrap_or(0) + field.line_len;
    assert!(
        reach + tile <= values.len() && output == field.lines.len() * field.line_len,
        "all lines lie in their field"
    );
}
