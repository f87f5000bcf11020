//! What the processor can do at most: multiply-adds on registers alone, without memory, on all threads.

use std::hint::black_box;
use std::time::Instant;

use galaxy_burn_core::nn::kernels::simd::{Isa, Simd, Work, run};
use galaxy_burn_core::nn::threads;

/// What is measured, as a model's name is.
pub const NAME: &str = "a billion multiply-adds in registers alone";

/// Multiply-adds that do not wait for each other: more than a processor has under way, and as many as fit into any registers.
const CHAINS: usize = 12;
/// Parts that the threads share.
const PARTS: usize = 64;
const BILLION: usize = 1_000_000_000;

/// So many multiply-adds at least.
struct MultiplyAdds(usize);

impl Work for MultiplyAdds {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "`Work::run` asks for it: what is inlined is compiled for the instruction set"
    )]
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (factor, term) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        let mut chains = [s.splat(1.0); CHAINS];
        for _ in 0..self.0.div_ceil(CHAINS * S::LANES) {
            for chain in &mut chains {
                *chain = s.mul_add(*chain, factor, term);
            }
        }
        black_box(chains);
    }
}

/// Milliseconds for a [`BILLION`] of them with `instructions` on all threads: the best of some rounds.
pub fn measure(instructions: Isa, rounds: usize) -> f64 {
    let round = || {
        let start = Instant::now();
        threads::each(PARTS, BILLION, |_| {
            run(instructions, MultiplyAdds(BILLION / PARTS));
        });
        start.elapsed().as_secs_f64() * 1000.0
    };
    round();
    (0..rounds).map(|_| round()).fold(f64::INFINITY, f64::min)
}
