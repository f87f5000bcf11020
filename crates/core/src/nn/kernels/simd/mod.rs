//! The thin layer between kernels and instruction sets.
//!
//! A kernel is written once, generic over [`Simd`], as the `run` of a [`Work`]; [`run`] enters it compiled for the best instruction set
//! of the machine, found out once. The methods of a `Simd` are always inlined into that entry, so they become single instructions.
//! On older machines the baseline runs: SSE2 on x86-64, elsewhere arrays that the compiler makes vectors of (NEON).
//!
//! Results of different instruction sets agree up to rounding: the widths differ, and with them the order of a few sums. On one machine
//! they are always the same bytes.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::cell::Cell;
use std::sync::OnceLock;

pub use portable::Portable;

/// The most lanes of a vector.
pub const MOST_LANES: usize = 16;

/// Vectors of `f32` of one instruction set. A value of the implementing type is the proof that the machine has it.
pub trait Simd: Copy + Send + Sync {
    /// Values in a vector.
    const LANES: usize;
    /// Vectors that fit into registers at once, less a few for operands.
    const ACCUMULATORS: usize;
    /// A vector.
    type Vector: Copy;
    /// A choice for each lane.
    type Mask: Copy;
    /// For each lane the number of a lane.
    type Lanes: Copy;

    /// All lanes the same.
    fn splat(self, value: f32) -> Self::Vector;
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b + c`, rounded once where the machine can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a` where `a > b`, else `b`: so `b` if either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where `a < b`, else `b`: so `b` if either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `1 / a` to two units in the last place, for values from 1 to 2^126; next to 0 for finite values beyond, for infinity NaN or 0.
    fn reciprocal(self, a: Self::Vector) -> Self::Vector;
    /// The nearest whole number, for values from -2^22 to 2^22.
    fn round(self, a: Self::Vector) -> Self::Vector;
    /// `a * 2^n` for whole numbers `n` from -126 to 127.
    fn scale(self, a: Self::Vector, n: Self::Vector) -> Self::Vector;
    /// The bits that both have, whatever numbers they make.
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Where `a = b`.
    fn equal(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// A bit for each lane, the first one's lowest: whether it is chosen.
    fn bits(self, mask: Self::Mask) -> u32;
    /// `a` where `mask`, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `LANES` values from memory.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// Four values from memory, again and again.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load_quad(self, from: *const f32) -> Self::Vector;
    /// `count < LANES` values from memory, then zeros.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector;
    /// A vector of `left` values from memory, then zeros, or of `LANES` if that is less.
    ///
    /// # Safety
    /// So many can be read.
    #[inline(always)]
    unsafe fn load_up_to(self, from: *const f32, left: usize) -> Self::Vector {
        // SAFETY: as the caller vouches.
        unsafe {
            if left >= Self::LANES {
                self.load(from)
            } else {
                self.load_first(from, left)
            }
        }
    }
    /// `LANES` values to memory.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store(self, to: *mut f32, vector: Self::Vector);
    /// The first `count < LANES` values to memory.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store_first(self, to: *mut f32, count: usize, vector: Self::Vector);
    /// The chosen lanes side by side to memory, then anything up to `LANES` values; returns how many were chosen.
    ///
    /// # Safety
    /// `LANES` values can be written.
    #[inline(always)]
    unsafe fn store_chosen(self, to: *mut f32, mask: Self::Mask, vector: Self::Vector) -> usize {
        let mut lanes = [0.0; MOST_LANES];
        let (mut bits, mut count) = (self.bits(mask), 0);
        // SAFETY: vectors have up to `MOST_LANES` lanes; no more are chosen than can be written.
        unsafe {
            self.store(lanes.as_mut_ptr(), vector);
            while bits != 0 {
                *to.add(count) = lanes[bits.trailing_zeros() as usize % MOST_LANES];
                bits &= bits - 1;
                count += 1;
            }
        }
        count
    }
    /// Four vectors as columns: the four values of each lane side by side, one lane every `stride` values.
    ///
    /// # Safety
    /// Four values can be written for each lane.
    #[inline(always)]
    unsafe fn store_turned(self, to: *mut f32, stride: usize, rows: [Self::Vector; 4]) {
        let mut lanes = [[0.0; MOST_LANES]; 4];
        // SAFETY: vectors have up to `MOST_LANES` lanes, and the caller vouches for the memory.
        unsafe {
            for (lanes, row) in lanes.iter_mut().zip(rows) {
                self.store(lanes.as_mut_ptr(), row);
            }
            for lane in 0..Self::LANES {
                for (row, lanes) in lanes.iter().enumerate() {
                    *to.add(lane * stride + row) = lanes[lane];
                }
            }
        }
    }
    /// `LANES` bytes from memory as whole numbers.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load_bytes(self, from: *const u8) -> Self::Vector;
    /// Whole numbers from 0 to 255 as `LANES` bytes to memory.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store_bytes(self, to: *mut u8, vector: Self::Vector);

    /// `LANES` bytes from memory as numbers of lanes, which count from 0 again after the last.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load_lanes(self, from: *const u8) -> Self::Lanes;
    /// `of[lane]` for each of `lanes`.
    fn pick_lanes(self, lanes: Self::Lanes, of: Self::Lanes) -> Self::Lanes;
    /// `a + b`.
    fn add_lanes(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `of[lane]` for each of `lanes`.
    fn pick(self, lanes: Self::Lanes, of: Self::Vector) -> Self::Vector;

    /// Asks for the cache line at `at` to be brought into the second-level cache; any address will do. What is read next comes from
    /// there in time, while the first level, for which it would be too much, keeps what a product works on.
    fn prefetch(self, at: *const f32);

    /// [Prefetches](Self::prefetch) all of some values.
    #[inline(always)]
    fn prefetch_all(self, values: &[f32]) {
        /// Values in a cache line.
        const LINE: usize = 16;
        for line in values.chunks(LINE) {
            self.prefetch(line.as_ptr());
        }
    }
}

/// A kernel with its arguments.
pub trait Work {
    /// What it returns.
    type Output;

    /// The kernel. Mark it and all it calls `#[inline(always)]`: only what is inlined into the entry is compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The baseline of the platform.
    Portable,
    /// AVX2 with FMA: Intel from 2013, AMD from 2015.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: servers from 2017.
    Avx512,
}

impl Isa {
    /// The best one of this machine, found out once.
    #[must_use]
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Self::Portable))
    }

    /// All of this machine, from the baseline to the best.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(x86::Avx2::detect().map(|_| Self::Avx2));
            sets.extend(x86::Avx512::detect().map(|_| Self::Avx512));
        }
        sets
    }

    /// Values in a vector.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable => Portable::LANES,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Vectors that a kernel may hold in registers at once.
    #[must_use]
    pub fn accumulators(self) -> usize {
        match self {
            Self::Portable => Portable::ACCUMULATORS,
            Self::Avx2 => 12,
            Self::Avx512 => 24,
        }
    }

    /// The one that kernels called on this thread use.
    #[must_use]
    pub fn current() -> Self {
        CHOSEN.get().map_or_else(Self::detect, |held| held.min(Self::detect()))
    }

    /// Runs `work` with kernels called on this thread held to this instruction set, or to the best one below it that the machine has:
    /// for tests and benchmarks.
    pub fn hold<R>(self, work: impl FnOnce() -> R) -> R {
        struct Restore(Option<Isa>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CHOSEN.set(self.0);
            }
        }
        let _restore = Restore(CHOSEN.replace(Some(self)));
        work()
    }
}

thread_local! {
    static CHOSEN: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// Runs a kernel on `isa`, or on the baseline if the machine does not have it.
///
/// Kernels that spread over threads ask for [`Isa::current`] once, on the calling thread.
pub fn run<W: Work>(isa: Isa, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    match isa {
        Isa::Avx512 => {
            if let Some(simd) = x86::Avx512::detect() {
                return simd.run(work);
            }
        }
        Isa::Avx2 => {
            if let Some(simd) = x86::Avx2::detect() {
                return simd.run(work);
            }
        }
        Isa::Portable => {}
    }
    #[cfg(target_arch = "x86_64")]
    return work.run(x86::Sse2);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        work.run(Portable)
    }
}

/// Runs plain loops compiled for `isa`, for the compiler to make vectors of. Mark the closure `#[inline(always)]`, and every closure and
/// function that it calls: what is not inlined is compiled for the baseline, without a word.
pub fn vectorized<R>(isa: Isa, loops: impl FnOnce() -> R) -> R {
    struct Loops<F>(F);
    impl<R, F: FnOnce() -> R> Work for Loops<F> {
        type Output = R;

        #[inline(always)]
        fn run<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    run(isa, Loops(loops))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "whether they are equal is what is tested")]

    use super::super::testing::values;
    use super::*;

    /// Every operation of an instruction set on the same values, lane by lane.
    struct Operations<'a>(&'a [f32]);

    impl Work for Operations<'_> {
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let x = self.0;
            let mut out = vec![Vec::new(); 21];
            for at in (0..x.len() - 2 * S::LANES).step_by(S::LANES) {
                // SAFETY: three vectors fit before the end of `x`, and the buffers are as long as a vector.
                unsafe {
                    let (a, b) = (s.load(&raw const x[at]), s.load(&raw const x[at + S::LANES]));
                    let first = s.load_first(&raw const x[at], S::LANES - 1);
                    let mut bytes = [0_u8; 16];
                    s.store_bytes(
                        bytes.as_mut_ptr(),
                        s.select(s.equal(a, s.max(a, b)), s.splat(255.0), s.splat(3.0)),
                    );
                    let vectors = [
                        s.add(a, b),
                        s.sub(a, b),
                        s.mul(a, b),
                        s.mul_add(a, b, a),
                        s.select(s.equal(a, b), a, s.splat(2.0)),
                        s.max(a, b),
                        first,
                        s.load_bytes(bytes.as_ptr()),
                        s.min(a, b),
                        s.reciprocal(s.add(s.splat(2.0), b)),
                        s.round(s.mul(a, s.splat(8.0))),
                        s.scale(b, s.max(s.round(s.mul(a, s.splat(8.0))), s.splat(-9.0))),
                    ];
                    s.prefetch(x.as_ptr());
                    // Whole turns more than needed, and backwards: twice is forwards.
                    let turned: [u8; 16] = std::array::from_fn(|lane| 31 - lane as u8);
                    let turned = s.load_lanes(turned.as_ptr());
                    let twice = s.pick_lanes(turned, turned);
                    for (out, vector) in out.iter_mut().zip(vectors) {
                        let mut lanes = [0.0; 16];
                        s.store(lanes.as_mut_ptr(), vector);
                        out.extend(&lanes[..S::LANES]);
                    }
                    let bits = s.bits(s.equal(a, s.max(a, b)));
                    out[15].extend((0..S::LANES).map(|lane| (bits >> lane & 1) as f32));
                    assert!(u64::from(bits) < 1 << S::LANES);
                    for (out, vector) in out[13..15].iter_mut().zip([s.pick(turned, a), s.pick(twice, a)]) {
                        let mut lanes = [0.0; 16];
                        s.store(lanes.as_mut_ptr(), vector);
                        out.extend(&lanes[..S::LANES]);
                    }
                    let ones = s.load_lanes([1; 16].as_ptr());
                    let mut picked = [0.0; 16];
                    s.store(picked.as_mut_ptr(), s.pick(s.add_lanes(turned, ones), a));
                    out[20].extend(&picked[..S::LANES]);
                    let mut chosen = [0.0; 16];
                    let count = s.store_chosen(chosen.as_mut_ptr(), s.equal(a, s.max(a, b)), a);
                    out[16].extend(&chosen[..count]);
                    let mut turned = [7.0; 16 * 5];
                    s.store_turned(turned.as_mut_ptr(), 5, [a, b, first, s.add(a, b)]);
                    out[17].extend(&turned[..S::LANES * 5]);
                    let mut quads = [7.0; 16];
                    s.store(quads.as_mut_ptr(), s.load_quad(&raw const x[at]));
                    out[18].extend(&quads[..S::LANES]);
                    let mut both = [7.0; 16];
                    s.store(both.as_mut_ptr(), s.and(a, b));
                    out[19].extend(&both[..S::LANES]);
                    let mut lanes = [7.0; 16];
                    s.store_first(lanes.as_mut_ptr(), S::LANES - 1, a);
                    out[12].extend(&lanes[..S::LANES]);
                }
            }
            out
        }
    }

    fn expected(x: &[f32], lanes: usize) -> Vec<Vec<f32>> {
        let mut out = vec![Vec::new(); 21];
        for at in (0..x.len() - 2 * lanes).step_by(lanes) {
            for lane in 0..lanes {
                let (a, b) = (x[at + lane], x[at + lane + lanes]);
                let last = lane == lanes - 1;
                let above = a > b;
                let all = [
                    a + b,
                    a - b,
                    a * b,
                    a.mul_add(b, a),
                    if a == b { a } else { 2.0 },
                    if above { a } else { b },
                    if last { 0.0 } else { a },
                    if above || a == b { 255.0 } else { 3.0 },
                    if a < b { a } else { b },
                    1.0 / (2.0 + b),
                    (8.0 * a).round_ties_even(),
                    b * (8.0 * a).round_ties_even().max(-9.0).exp2(),
                    if last { 7.0 } else { a },
                    x[at + lanes - 1 - lane],
                    a,
                    f32::from(u8::from(above || a == b)),
                ];
                for (out, value) in out.iter_mut().zip(all) {
                    out.push(value);
                }
                if above || a == b {
                    out[16].push(a);
                }
                out[17].extend([a, b, if last { 0.0 } else { a }, a + b, 7.0]);
                out[18].push(x[at + lane % 4]);
                out[19].push(f32::from_bits(a.to_bits() & b.to_bits()));
                out[20].push(x[at + (lanes - lane) % lanes]);
            }
        }
        out
    }

    #[test]
    fn arrays_do_what_the_instructions_do() {
        let x = values(160, 2);
        let (got, want) = (Operations(&x).run(Portable), expected(&x, Portable::LANES));
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() < 1e-6, "{got}, not {want}");
        }
    }

    #[test]
    fn every_instruction_set_does_what_its_operations_say() {
        let mut x = values(160, 1);
        (x[16], x[32], x[3], x[40]) = (x[0], x[16], f32::NAN, 0.0);
        for (isa, lanes) in [(Isa::Portable, Portable::LANES), (Isa::Avx2, 8), (Isa::Avx512, 16)] {
            if !Isa::available().contains(&isa) {
                continue;
            }
            let (got, want) = (run(isa, Operations(&x)), expected(&x, lanes));
            for (operation, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got.len(), want.len());
                for (got, want) in got.iter().zip(want) {
                    let same = got == want || got.is_nan() && want.is_nan() || (got - want).abs() < 1e-6;
                    assert!(same, "{isa:?}, operation {operation}: {got}, not {want}");
                }
            }
        }
    }

    #[test]
    fn a_held_instruction_set_is_given_back() {
        let before = Isa::current();
        Isa::Portable.hold(|| assert_eq!(Isa::current(), Isa::Portable));
        assert_eq!(Isa::current(), before);
    }
}
