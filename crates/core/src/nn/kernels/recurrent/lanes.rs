//! One thin layer over the instruction sets: a kernel is written once, generic over [`Simd`], and compiled for AVX-512, for AVX2 with
//! FMA, and for whatever the target has without asking. Which one runs is found out once, when the process first computes.
//!
//! The value of type [`Avx512`] or [`Avx2`] is the proof that the processor has the instructions: only [`Isa::available`] makes them.
//! Everything between [`dispatch`] and the last intrinsic is `inline(always)`, so that all of it lands in one function that is
//! compiled for the instruction set.

use std::sync::OnceLock;

/// Vectors of `f32` of one instruction set.
pub(crate) trait Simd: Copy {
    /// One vector.
    type V: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors side by side in a register tile of a matrix product.
    const PANEL: usize;
    /// Rows of a register tile of a matrix product.
    const TILE: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// Reads `LANES` numbers.
    ///
    /// # Safety
    /// They must be readable; no alignment is asked for.
    unsafe fn load_from(self, from: *const f32) -> Self::V;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// They must be writable; no alignment is asked for.
    unsafe fn store_to(self, to: *mut f32, v: Self::V);
    /// The first `from.len()` lanes, which are fewer than all; zero behind them.
    fn load_part(self, from: &[f32]) -> Self::V;
    /// Writes the first `to.len()` lanes, which are fewer than all.
    fn store_part(self, to: &mut [f32], v: Self::V);
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the instruction set can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller; a NaN in `a` stays.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger; a NaN in `a` stays.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The nearest whole number, for `|a|` below 2^22.
    fn round(self, a: Self::V) -> Self::V;
    /// `2^n` for whole `n` from -126 to 127.
    fn power_of_two(self, n: Self::V) -> Self::V;
    /// Asks for the cache line at `at` to be brought near; any address will do.
    fn prefetch(self, at: *const f32);

    /// Reads lanes of `from` at `at`: all, or with `PART` what is left.
    #[inline(always)]
    fn read<const PART: bool>(self, from: &[f32], at: usize) -> Self::V {
        if PART {
            self.load_part(&from[at..])
        } else {
            let lanes = &from[at..at + Self::LANES];
            // SAFETY: the slice holds LANES numbers.
            unsafe { self.load_from(lanes.as_ptr()) }
        }
    }

    /// Writes lanes to `to` at `at`: all, or with `PART` what is left.
    #[inline(always)]
    fn write<const PART: bool>(self, to: &mut [f32], at: usize, v: Self::V) {
        if PART {
            self.store_part(&mut to[at..], v);
        } else {
            let lanes = &mut to[at..at + Self::LANES];
            // SAFETY: the slice holds LANES numbers.
            unsafe { self.store_to(lanes.as_mut_ptr(), v) }
        }
    }
}

/// Work that is generic over the instruction set; `run` must be `inline(always)`.
pub(crate) trait Kernel {
    /// What it returns.
    type Out;
    /// Does the work.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Isa(Choice);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// All that this processor has, best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if fma && is_x86_feature_detected!("avx512f") {
                found.push(Self(Choice::Avx512));
            }
            if fma {
                found.push(Self(Choice::Avx2));
            }
        }
        found.push(Self(Choice::Portable));
        found
    }

    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Vectors side by side in a tile's panel, and numbers in a vector.
    pub(crate) fn panel(self) -> (usize, usize) {
        struct Panel;
        impl Kernel for Panel {
            type Out = (usize, usize);
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> (usize, usize) {
                (S::PANEL, S::LANES)
            }
        }
        dispatch(self, Panel)
    }
}

/// Runs `kernel` compiled for `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Out {
    match isa.0 {
        // SAFETY: `Isa` is only made for what the processor has.
        #[cfg(target_arch = "x86_64")]
        Choice::Avx512 => unsafe { x86::run_avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Choice::Avx2 => unsafe { x86::run_avx2(kernel) },
        Choice::Portable => kernel.run(Portable),
    }
}

/// Eight lanes as a plain array, which the compiler turns into whatever vectors the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn lanes(f: impl Fn(usize) -> f32) -> [f32; 8] {
    std::array::from_fn(f)
}

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const PANEL: usize = 2;
    const TILE: usize = 3;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load_from(self, from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for eight readable numbers.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_to(self, to: *mut f32, v: Self::V) {
        // SAFETY: the caller vouches for eight writable numbers.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    fn load_part(self, from: &[f32]) -> Self::V {
        let mut v = [0.0; 8];
        v[..from.len()].copy_from_slice(from);
        v
    }
    #[inline(always)]
    fn store_part(self, to: &mut [f32], v: Self::V) {
        to.copy_from_slice(&v[..to.len()]);
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Where the target has no fused instruction, `mul_add` would be a call of a library function.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            lanes(|i| a[i].mul_add(b[i], c[i]))
        } else {
            lanes(|i| a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| if b[i] < a[i] { b[i] } else { a[i] })
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        lanes(|i| if b[i] > a[i] { b[i] } else { a[i] })
    }
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::V {
        // Adding 1.5 * 2^23 leaves no room for a fraction; taking it away again leaves the whole number.
        const SHIFT: f32 = 12_582_912.0;
        lanes(|i| (a[i] + SHIFT) - SHIFT)
    }
    #[inline(always)]
    fn power_of_two(self, n: Self::V) -> Self::V {
        // With 2^23 + 127 added, the number's last bits are the exponent that 2^n has.
        lanes(|i| f32::from_bits((n[i] + 8_388_735.0).to_bits() << 23))
    }
    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}

/// AVX-512 and AVX2.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Simd};

    /// # Safety
    /// The processor must have AVX-512F, AVX2 and FMA.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
        kernel.run(Avx512(()))
    }

    /// # Safety
    /// The processor must have AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
        kernel.run(Avx2(()))
    }

    /// The proof of AVX-512F.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(());

    /// The proof of AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(());

    /// The first `n` of sixteen lanes.
    #[inline(always)]
    fn first(n: usize) -> u16 {
        debug_assert!(n < 16, "fewer than all lanes");
        (1_u16 << n) - 1
    }

    // SAFETY (all of this file's intrinsics): a value of the type exists only on a processor that has the instructions.
    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const PANEL: usize = 4;
        const TILE: usize = 6;

        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load_from(self, from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store_to(self, to: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        fn load_part(self, from: &[f32]) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(first(from.len()), from.as_ptr()) }
        }
        #[inline(always)]
        fn store_part(self, to: &mut [f32], v: __m512) {
            unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first(to.len()), v) }
        }
        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        fn sub(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        fn div(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn min(self, a: __m512, b: __m512) -> __m512 {
            // The instruction returns its second operand when one is a NaN.
            unsafe { _mm512_min_ps(b, a) }
        }
        #[inline(always)]
        fn max(self, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(b, a) }
        }
        #[inline(always)]
        fn round(self, a: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
        }
        #[inline(always)]
        fn power_of_two(self, n: __m512) -> __m512 {
            unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), n) }
        }
        #[inline(always)]
        fn prefetch(self, at: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }

    /// Eight lanes of which the first `n` are set.
    #[inline(always)]
    fn mask(n: usize) -> __m256i {
        const BITS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        let window = &BITS[8 - n..16 - n];
        // SAFETY: the window holds eight numbers; only `Avx2` comes here.
        unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
    }

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const PANEL: usize = 2;
        const TILE: usize = 6;

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load_from(self, from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store_to(self, to: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        fn load_part(self, from: &[f32]) -> __m256 {
            unsafe { _mm256_maskload_ps(from.as_ptr(), mask(from.len())) }
        }
        #[inline(always)]
        fn store_part(self, to: &mut [f32], v: __m256) {
            unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), mask(to.len()), v) }
        }
        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        fn div(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn min(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(b, a) }
        }
        #[inline(always)]
        fn max(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(b, a) }
        }
        #[inline(always)]
        fn round(self, a: __m256) -> __m256 {
            unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
        }
        #[inline(always)]
        fn power_of_two(self, n: __m256) -> __m256 {
            unsafe {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            }
        }
        #[inline(always)]
        fn prefetch(self, at: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everything([f32; 16], [f32; 16]);

    impl Kernel for Everything {
        type Out = Vec<Vec<f32>>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Vec<Vec<f32>> {
            let mut out = vec![Vec::new(); 8];
            let mut keep = |slot: usize, v: S::V| {
                let mut lanes = [0.0; 16];
                s.write::<false>(&mut lanes, 0, v);
                out[slot].extend_from_slice(&lanes[..S::LANES]);
            };
            for at in (0..16).step_by(S::LANES) {
                let (a, b) = (s.read::<false>(&self.0, at), s.read::<false>(&self.1, at));
                keep(0, s.add(a, b));
                keep(1, s.sub(a, b));
                keep(2, s.mul(a, b));
                keep(3, s.div(a, b));
                keep(4, s.min(a, b));
                keep(5, s.max(a, b));
                keep(6, s.round(a));
                keep(7, s.power_of_two(s.round(a)));
            }
            out
        }
    }

    #[test]
    fn each_instruction_set_computes_the_same() {
        let a: [f32; 16] = std::array::from_fn(|i| (i as f32 - 7.3) * 3.7);
        let b: [f32; 16] = std::array::from_fn(|i| (i as f32 - 4.1) * -2.9);
        let operation = |slot: usize, i: usize| match slot {
            0 => a[i] + b[i],
            1 => a[i] - b[i],
            2 => a[i] * b[i],
            3 => a[i] / b[i],
            4 => a[i].min(b[i]),
            5 => a[i].max(b[i]),
            6 => a[i].round_ties_even(),
            _ => a[i].round_ties_even().exp2(),
        };
        for isa in Isa::available() {
            for (slot, values) in dispatch(isa, Everything(a, b)).iter().enumerate() {
                for (i, &value) in values.iter().enumerate() {
                    assert_eq!(value, operation(slot, i), "{isa:?}, operation {slot}, lane {i}");
                }
            }
        }
    }

    struct Part(usize);

    impl Kernel for Part {
        type Out = Vec<f32>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Vec<f32> {
            let from: Vec<f32> = (1..=self.0).map(|i| i as f32).collect();
            let mut to = vec![0.0; self.0 + 1];
            let doubled = s.add(s.read::<true>(&from, 0), s.read::<true>(&from, 0));
            s.write::<true>(&mut to[..self.0], 0, doubled);
            to
        }
    }

    #[test]
    fn a_part_of_a_vector_touches_nothing_behind_it() {
        for isa in Isa::available() {
            for n in 0..isa.panel().1 {
                let expected: Vec<f32> = (1..=n).map(|i| 2.0 * i as f32).chain([0.0]).collect();
                assert_eq!(dispatch(isa, Part(n)), expected, "{isa:?}, {n} lanes");
            }
        }
    }
}
