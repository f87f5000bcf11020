//! Vectors as arrays of four, which compilers turn into SSE2 or NEON instructions.

use super::Simd;

/// The baseline of any platform.
#[derive(Clone, Copy)]
pub struct Portable;

const LANES: usize = 4;

#[inline(always)]
fn each<T>(lane: impl FnMut(usize) -> T) -> [T; LANES] {
    std::array::from_fn(lane)
}

impl Simd for Portable {
    const LANES: usize = LANES;
    // 16 registers in SSE2, of which four hold operands.
    const ACCUMULATORS: usize = 12;
    type Vector = [f32; LANES];
    type Mask = [u32; LANES];
    type Lanes = [u8; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        if cfg!(target_arch = "aarch64") {
            each(|i| a[i].mul_add(b[i], c[i]))
        } else {
            // Without an instruction for it, `mul_add` would call a function for every lane.
            each(|i| a[i] * b[i] + c[i])
        }
    }

    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn reciprocal(self, a: Self::Vector) -> Self::Vector {
        each(|i| 1.0 / a[i])
    }

    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        // 1.5 * 2^23 leaves no room for a fraction.
        const SHIFT: f32 = 12_582_912.0;
        each(|i| (a[i] + SHIFT) - SHIFT)
    }

    #[inline(always)]
    fn scale(self, a: Self::Vector, n: Self::Vector) -> Self::Vector {
        // 2^23 + 127 makes the last bits of the sum the exponent of 2^n.
        each(|i| a[i] * f32::from_bits((n[i] + 8_388_735.0).to_bits() << 23))
    }

    #[inline(always)]
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| f32::from_bits(a[i].to_bits() & b[i].to_bits()))
    }

    #[inline(always)]
    #[expect(clippy::float_cmp, reason = "whether they are equal is the question")]
    fn equal(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        each(|i| if a[i] == b[i] { u32::MAX } else { 0 })
    }

    #[inline(always)]
    fn bits(self, mask: Self::Mask) -> u32 {
        (0..Self::LANES).map(|i| (mask[i] & 1) << i).sum()
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| f32::from_bits(mask[i] & a[i].to_bits() | !mask[i] & b[i].to_bits()))
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller vouches for `LANES` values; arrays need no more alignment than their values.
        unsafe { from.cast::<Self::Vector>().read() }
    }

    #[inline(always)]
    unsafe fn load_quad(self, from: *const f32) -> Self::Vector {
        // SAFETY: four values are a vector, and the caller vouches for them.
        unsafe { self.load(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: the caller vouches for `count` values.
        each(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: Self::Vector) {
        // SAFETY: the caller vouches for room for `LANES` values.
        unsafe { to.cast::<Self::Vector>().write(vector) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize, vector: Self::Vector) {
        for (i, value) in vector.into_iter().enumerate().take(count) {
            // SAFETY: the caller vouches for room for `count` values.
            unsafe { *to.add(i) = value };
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> Self::Vector {
        // SAFETY: the caller vouches for `LANES` bytes.
        each(|i| f32::from(unsafe { *from.add(i) }))
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers from 0 to 255"
    )]
    unsafe fn store_bytes(self, to: *mut u8, vector: Self::Vector) {
        for (i, value) in vector.into_iter().enumerate() {
            // SAFETY: the caller vouches for room for `LANES` bytes.
            unsafe { *to.add(i) = value as u8 };
        }
    }

    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8) -> Self::Lanes {
        // SAFETY: the caller vouches for `LANES` bytes.
        unsafe { from.cast::<Self::Lanes>().read() }
    }

    #[inline(always)]
    fn pick_lanes(self, lanes: Self::Lanes, of: Self::Lanes) -> Self::Lanes {
        each(|i| of[usize::from(lanes[i]) % LANES])
    }

    #[inline(always)]
    fn add_lanes(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        each(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn pick(self, lanes: Self::Lanes, of: Self::Vector) -> Self::Vector {
        each(|i| of[usize::from(lanes[i]) % LANES])
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}
