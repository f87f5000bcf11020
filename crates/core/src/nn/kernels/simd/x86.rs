//! SSE2, which every x86-64 has, AVX2 and AVX-512 by intrinsics.
//!
//! Soundness: a value of the AVX types exists only if `detect` has found the instructions in the machine. That is what every
//! intrinsic below relies on; those that touch memory pass on what the [`Simd`] method asks of its caller.

use std::arch::x86_64::{
    __m128, __m256, __m256i, __m512, __m512i, __mmask16, _CMP_EQ_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT,
    _MM_HINT_T1, _mm_add_epi32, _mm_add_ps, _mm_and_ps, _mm_andnot_ps, _mm_castsi128_ps, _mm_cmpeq_ps, _mm_cvtepi32_ps,
    _mm_cvtps_epi32, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_cvttps_epi32, _mm_div_ps, _mm_loadl_epi64, _mm_loadu_ps,
    _mm_loadu_si128, _mm_max_ps, _mm_min_ps, _mm_movemask_ps, _mm_mul_ps, _mm_or_ps, _mm_packs_epi32, _mm_packus_epi16,
    _mm_packus_epi32, _mm_prefetch, _mm_set1_epi32, _mm_set1_ps, _mm_setzero_si128, _mm_slli_epi32, _mm_storel_epi64,
    _mm_storeu_ps, _mm_storeu_si128, _mm_sub_ps, _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm256_add_epi32,
    _mm256_add_ps, _mm256_and_ps, _mm256_blendv_ps, _mm256_castps128_ps256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_cvtps_epi32, _mm256_cvttps_epi32, _mm256_div_ps, _mm256_extractf128_ps, _mm256_extracti128_si256,
    _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_permutevar8x32_epi32,
    _mm256_permutevar8x32_ps, _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_ps, _mm512_broadcast_f32x4, _mm512_castps512_ps128, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8,
    _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvttps_epi32, _mm512_extractf32x4_ps, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_mask_storeu_ps, _mm512_maskz_compress_ps,
    _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_permutexvar_epi32,
    _mm512_permutexvar_ps, _mm512_rcp14_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps, _mm512_shuffle_ps,
    _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};
use std::sync::OnceLock;

use super::{Simd, Work};

/// The baseline of x86-64. Arrays would do, but compilers do not always make vectors of them.
#[derive(Clone, Copy)]
pub struct Sse2;

/// AVX2 with FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx2 {
    /// The proof that this machine has it.
    pub fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND
            .get_or_init(|| is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
            .then_some(Self(()))
    }

    /// Runs a kernel compiled for it.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx2,fma")]
        fn enter<W: Work>(simd: Avx2, work: W) -> W::Output {
            work.run(simd)
        }
        // SAFETY: `self` is the proof.
        unsafe { enter(self, work) }
    }
}

impl Avx512 {
    /// The proof that this machine has it.
    pub fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND
            .get_or_init(|| {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && Avx2::detect().is_some()
            })
            .then_some(Self(()))
    }

    /// Runs a kernel compiled for it.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn enter<W: Work>(simd: Avx512, work: W) -> W::Output {
            work.run(simd)
        }
        // SAFETY: `self` is the proof.
        unsafe { enter(self, work) }
    }
}

/// The lanes of an AVX2 vector below `count`.
#[inline(always)]
fn first_lanes(_: Avx2, count: usize) -> __m256i {
    const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let start = 8 - count.min(8);
    // SAFETY: the machine has AVX2; eight values follow `start`, which is at most 8.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(start).cast()) }
}

// SAFETY of all blocks below: see the head of this file.
impl Simd for Sse2 {
    const LANES: usize = 4;
    const ACCUMULATORS: usize = 12;
    type Vector = __m128;
    type Mask = __m128;
    type Lanes = [u8; 4];

    #[inline(always)]
    fn splat(self, value: f32) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m128, b: __m128, c: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_add_ps(_mm_mul_ps(a, b), c) }
    }

    #[inline(always)]
    fn max(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_min_ps(a, b) }
    }

    #[inline(always)]
    fn reciprocal(self, a: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_div_ps(_mm_set1_ps(1.0), a) }
    }

    #[inline(always)]
    fn round(self, a: __m128) -> __m128 {
        // SAFETY: the baseline. 1.5 * 2^23 leaves no room for a fraction.
        unsafe {
            let shift = _mm_set1_ps(12_582_912.0);
            _mm_sub_ps(_mm_add_ps(a, shift), shift)
        }
    }

    #[inline(always)]
    fn scale(self, a: __m128, n: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe {
            let exponent = _mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127));
            _mm_mul_ps(a, _mm_castsi128_ps(_mm_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn and(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_and_ps(a, b) }
    }

    #[inline(always)]
    fn equal(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_cmpeq_ps(a, b) }
    }

    #[inline(always)]
    fn bits(self, mask: __m128) -> u32 {
        // SAFETY: the baseline.
        unsafe { _mm_movemask_ps(mask) }.cast_unsigned()
    }

    #[inline(always)]
    fn select(self, mask: __m128, a: __m128, b: __m128) -> __m128 {
        // SAFETY: the baseline.
        unsafe { _mm_or_ps(_mm_and_ps(mask, a), _mm_andnot_ps(mask, b)) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m128 {
        // SAFETY: the caller for the memory.
        unsafe { _mm_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_quad(self, from: *const f32) -> __m128 {
        // SAFETY: four values are a vector, and the caller vouches for them.
        unsafe { _mm_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m128 {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller for `count` values.
            *lane = unsafe { *from.add(i) };
        }
        // SAFETY: four lanes.
        unsafe { _mm_loadu_ps(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m128) {
        // SAFETY: the caller for the memory.
        unsafe { _mm_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, vector: __m128) {
        let mut lanes = [0.0; 4];
        // SAFETY: four lanes.
        unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), vector) };
        for (i, lane) in lanes.into_iter().enumerate().take(count) {
            // SAFETY: the caller for room for `count` values.
            unsafe { *to.add(i) = lane };
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m128 {
        // SAFETY: the caller for four bytes.
        unsafe {
            let zero = _mm_setzero_si128();
            let bytes = _mm_cvtsi32_si128(from.cast::<i32>().read_unaligned());
            _mm_cvtepi32_ps(_mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero))
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, vector: __m128) {
        // SAFETY: the caller for four bytes.
        unsafe {
            let words = _mm_cvttps_epi32(vector);
            let halves = _mm_packs_epi32(words, words);
            let bytes = _mm_cvtsi128_si32(_mm_packus_epi16(halves, halves));
            to.cast::<i32>().write_unaligned(bytes);
        }
    }

    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8) -> [u8; 4] {
        // SAFETY: the caller for four bytes.
        unsafe { from.cast::<[u8; 4]>().read() }
    }

    #[inline(always)]
    fn pick_lanes(self, lanes: [u8; 4], of: [u8; 4]) -> [u8; 4] {
        lanes.map(|lane| of[usize::from(lane) % of.len()])
    }

    #[inline(always)]
    fn add_lanes(self, a: [u8; 4], b: [u8; 4]) -> [u8; 4] {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn pick(self, lanes: [u8; 4], of: __m128) -> __m128 {
        // The baseline has no instruction for it.
        let mut from = [0.0; 4];
        // SAFETY: four lanes each.
        unsafe {
            _mm_storeu_ps(from.as_mut_ptr(), of);
            let picked = lanes.map(|lane| from[usize::from(lane) % from.len()]);
            _mm_loadu_ps(picked.as_ptr())
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: the baseline, and it touches no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const ACCUMULATORS: usize = 12;
    type Vector = __m256;
    type Mask = __m256;
    type Lanes = __m256i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn reciprocal(self, a: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), a) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn and(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_and_ps(a, b) }
    }

    #[inline(always)]
    fn equal(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    fn bits(self, mask: __m256) -> u32 {
        // SAFETY: `self`.
        unsafe { _mm256_movemask_ps(mask) }.cast_unsigned()
    }

    #[inline(always)]
    fn select(self, mask: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_blendv_ps(b, a, mask) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: `self`, and the caller for the memory.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_quad(self, from: *const f32) -> __m256 {
        // SAFETY: `self`, and the caller vouches for four values.
        unsafe {
            let four = _mm_loadu_ps(from);
            _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(four), four)
        }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m256 {
        // SAFETY: `self`, and the caller for the memory of the lanes that are read.
        unsafe { _mm256_maskload_ps(from, first_lanes(self, count)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m256) {
        // SAFETY: `self`, and the caller for the memory.
        unsafe { _mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, vector: __m256) {
        // SAFETY: `self`, and the caller for the memory of the lanes that are written.
        unsafe { _mm256_maskstore_ps(to, first_lanes(self, count), vector) }
    }

    #[inline(always)]
    unsafe fn store_turned(self, to: *mut f32, stride: usize, rows: [__m256; 4]) {
        let [a, b, c, d] = rows;
        // SAFETY: `self`, and the caller for the memory.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (low2, high2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            // Lanes 0 and 4, then 1 and 5 and so on.
            let turned = [
                _mm256_shuffle_ps::<0b01_00_01_00>(low, low2),
                _mm256_shuffle_ps::<0b11_10_11_10>(low, low2),
                _mm256_shuffle_ps::<0b01_00_01_00>(high, high2),
                _mm256_shuffle_ps::<0b11_10_11_10>(high, high2),
            ];
            for (lane, lanes) in turned.into_iter().enumerate() {
                let to = to.add(lane * stride);
                _mm_storeu_ps(to, _mm256_castps256_ps128(lanes));
                _mm_storeu_ps(to.add(4 * stride), _mm256_extractf128_ps::<1>(lanes));
            }
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256 {
        // SAFETY: `self`, and the caller for eight bytes.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, vector: __m256) {
        // SAFETY: `self`, and the caller for eight bytes.
        unsafe {
            let words = _mm256_cvttps_epi32(vector);
            let halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }

    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8) -> __m256i {
        // SAFETY: `self`, and the caller for eight bytes.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())) }
    }

    #[inline(always)]
    fn pick_lanes(self, lanes: __m256i, of: __m256i) -> __m256i {
        // SAFETY: `self`.
        unsafe { _mm256_permutevar8x32_epi32(of, lanes) }
    }

    #[inline(always)]
    fn add_lanes(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self`.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn pick(self, lanes: __m256i, of: __m256) -> __m256 {
        // SAFETY: `self`.
        unsafe { _mm256_permutevar8x32_ps(of, lanes) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: the baseline, and it touches no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const ACCUMULATORS: usize = 24;
    type Vector = __m512;
    type Mask = __mmask16;
    type Lanes = __m512i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn reciprocal(self, a: __m512) -> __m512 {
        // In less time than a division: an estimate of 14 bits, whose error one step of Newton's method squares.
        // SAFETY: `self`.
        unsafe {
            let estimate = _mm512_rcp14_ps(a);
            let error = _mm512_fnmadd_ps(a, estimate, _mm512_set1_ps(1.0));
            _mm512_fmadd_ps(estimate, error, estimate)
        }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    fn and(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_and_ps(a, b) }
    }

    #[inline(always)]
    fn equal(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: `self`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    fn bits(self, mask: __mmask16) -> u32 {
        u32::from(mask)
    }

    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: `self`, and the caller for the memory.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_quad(self, from: *const f32) -> __m512 {
        // SAFETY: `self`, and the caller vouches for four values.
        unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m512 {
        // SAFETY: `self`, and the caller for the memory of the lanes that are read.
        unsafe { _mm512_maskz_loadu_ps(low_bits(count), from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m512) {
        // SAFETY: `self`, and the caller for the memory.
        unsafe { _mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, vector: __m512) {
        // SAFETY: `self`, and the caller for the memory of the lanes that are written.
        unsafe { _mm512_mask_storeu_ps(to, low_bits(count), vector) }
    }

    #[inline(always)]
    unsafe fn store_chosen(self, to: *mut f32, mask: __mmask16, vector: __m512) -> usize {
        // Two instructions: to store what is chosen with one is slow on AMD's processors.
        // SAFETY: `self`, and the caller for the memory.
        unsafe { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(mask, vector)) };
        mask.count_ones() as usize
    }

    #[inline(always)]
    unsafe fn store_turned(self, to: *mut f32, stride: usize, rows: [__m512; 4]) {
        let [a, b, c, d] = rows;
        // SAFETY: `self`, and the caller for the memory.
        unsafe {
            let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (low2, high2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            // Lanes 0, 4, 8 and 12, then 1, 5, 9 and 13 and so on.
            let turned = [
                _mm512_shuffle_ps::<0b01_00_01_00>(low, low2),
                _mm512_shuffle_ps::<0b11_10_11_10>(low, low2),
                _mm512_shuffle_ps::<0b01_00_01_00>(high, high2),
                _mm512_shuffle_ps::<0b11_10_11_10>(high, high2),
            ];
            for (lane, lanes) in turned.into_iter().enumerate() {
                let to = to.add(lane * stride);
                _mm_storeu_ps(to, _mm512_castps512_ps128(lanes));
                _mm_storeu_ps(to.add(4 * stride), _mm512_extractf32x4_ps::<1>(lanes));
                _mm_storeu_ps(to.add(8 * stride), _mm512_extractf32x4_ps::<2>(lanes));
                _mm_storeu_ps(to.add(12 * stride), _mm512_extractf32x4_ps::<3>(lanes));
            }
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m512 {
        // SAFETY: `self`, and the caller for sixteen bytes.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, vector: __m512) {
        // SAFETY: `self`, and the caller for sixteen bytes.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(vector))) }
    }

    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8) -> __m512i {
        // SAFETY: `self`, and the caller for sixteen bytes.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    fn pick_lanes(self, lanes: __m512i, of: __m512i) -> __m512i {
        // SAFETY: `self`.
        unsafe { _mm512_permutexvar_epi32(lanes, of) }
    }

    #[inline(always)]
    fn add_lanes(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self`.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn pick(self, lanes: __m512i, of: __m512) -> __m512 {
        // SAFETY: `self`.
        unsafe { _mm512_permutexvar_ps(lanes, of) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        // SAFETY: the baseline, and it touches no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

/// A mask of the first `count < 16` lanes.
#[inline(always)]
fn low_bits(count: usize) -> __mmask16 {
    (1 << (count & 15)) - 1
}
