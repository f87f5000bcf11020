//! What was made of a kernel, for as long as the kernel stays the same.
//!
//! A batch comes in pieces, all with the same kernel, and each piece wants it in another order or transformed. What the first makes of
//! it serves the others. Whether it is still the same kernel is seen by its values, all of them: that takes a tenth of making it anew,
//! and nobody has to say when weights change.

use std::sync::{Arc, Mutex, PoisonError};

use crate::nn::kernels::simd::Isa;

/// Values of a kernel that is worth keeping: a piece has more rows where there are more weights, and then gains less.
const LARGEST: usize = 1 << 17;

/// What was made last, and of what.
pub struct Kept<T> {
    last: Mutex<Option<Made<T>>>,
}

struct Made<T> {
    isa: Isa,
    of: [Vec<f32>; 2],
    result: Arc<T>,
}

impl<T> Kept<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { last: Mutex::new(None) }
    }

    /// What `make` makes of these values (a kernel, a bias) for the instruction set of the calling thread, or has made of them before.
    /// Threads with other pieces wait for it, so `make` must not wait for them: it may [spread](crate::nn::threads::spreads) what it does,
    /// which it then does only where there are no pieces.
    pub fn get(&self, of: [&[f32]; 2], make: impl FnOnce() -> T) -> Arc<T> {
        if of[0].len() > LARGEST {
            return Arc::new(make());
        }
        let isa = Isa::current();
        // A thread that panicked here has left what was made before, or nothing.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.isa == isa
            && same(&last.of[0], of[0])
            && same(&last.of[1], of[1])
        {
            return Arc::clone(&last.result);
        }
        // Others wait here, as they would make the same.
        *last = None;
        let made = Arc::new(make());
        *last = Some(Made {
            isa,
            of: of.map(<[f32]>::to_vec),
            result: Arc::clone(&made),
        });
        made
    }
}

/// Whether two slices have the same bits.
fn same(a: &[f32], b: &[f32]) -> bool {
    /// Compared without looking at each: the compiler makes vectors of it.
    const TOGETHER: usize = 256;
    a.len() == b.len()
        && a.chunks(TOGETHER).zip(b.chunks(TOGETHER)).all(|(a, b)| {
            let differing = |bits: u32, (a, b): (&f32, &f32)| bits | (a.to_bits() ^ b.to_bits());
            a.iter().zip(b).fold(0, differing) == 0
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_made_ready_once_until_one_of_its_values_changes() {
        let kept = Kept::new();
        let mut made = 0;
        let mut get = |kernel: &[f32], bias: &[f32]| {
            *kept.get([kernel, bias], || {
                made += 1;
                made
            })
        };
        let mut kernel = vec![1.0; 1000];
        assert_eq!((get(&kernel, &[2.0]), get(&kernel, &[2.0])), (1, 1));
        kernel[999] = 1.5;
        assert_eq!((get(&kernel, &[2.0]), get(&kernel, &[2.0])), (2, 2));
        assert_eq!((get(&kernel, &[0.0]), get(&kernel, &[-0.0])), (3, 4));
        assert_eq!((get(&kernel, &[]), get(&kernel[1..], &[])), (5, 6));
        kernel[0] = f32::NAN;
        assert_eq!((get(&kernel, &[]), get(&kernel, &[])), (7, 7));
    }

    #[test]
    fn another_instruction_set_makes_its_own() {
        let kept = Kept::new();
        for isa in Isa::available() {
            isa.hold(|| {
                for _ in 0..2 {
                    assert_eq!(*kept.get([&[1.0], &[]], Isa::current), isa);
                }
            });
        }
    }

    #[test]
    fn large_kernels_are_not_kept() {
        let kept = Kept::new();
        let kernel = vec![0.0; LARGEST + 1];
        assert_eq!(
            (*kept.get([&kernel, &[]], || 1), *kept.get([&kernel, &[]], || 2)),
            (1, 2)
        );
    }
}
