//! Random numbers from one seed, in streams that do not disturb each other: the weights of layer 3 are the same whatever layer 2
//! draws, and the shuffle of epoch 5 whatever the dropout of epoch 4.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::kernels::simd::{Isa, vectorized};
use super::threads::{self, Unset};

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The initial values of one weight tensor, by its number in the model.
    Weights(usize),
    /// The order of the training rows in one epoch.
    Shuffle(usize),
    /// What one layer drops in one training step.
    Dropout {
        /// The layer's number in the model.
        layer: usize,
        /// The training step, counted over all epochs.
        step: u64,
    },
    /// The rows held out, when the form leaves that seed empty.
    Split,
    /// The validation rows held out of the rest, when the form leaves that seed empty.
    ValidationSplit,
}

/// The seed of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of one stream.
    #[must_use]
    pub fn stream(self, stream: Stream) -> ChaCha8Rng {
        let number = match stream {
            Stream::Weights(index) => 1 << 60 | index as u64,
            Stream::Shuffle(epoch) => 2 << 60 | epoch as u64,
            Stream::Dropout { layer, step } => 3 << 60 | (layer as u64 & 0xF_FFFF) << 40 | step & 0xFF_FFFF_FFFF,
            Stream::Split => 4 << 60,
            Stream::ValidationSplit => 5 << 60,
        };
        let mut generator = ChaCha8Rng::seed_from_u64(self.0);
        generator.set_stream(number);
        generator
    }

    /// A seed for a generator of another kind, as `random_state` takes it: 32 bits.
    #[must_use]
    pub fn derived(self, stream: Stream) -> u32 {
        self.stream(stream).next_u32()
    }
}

/// The numbers `0..n` in random order.
#[must_use]
pub fn permutation(n: usize, generator: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, generator.random_range(0..=i));
    }
    order
}

/// A number between 0 (inclusive) and 1 (exclusive), on the 2^24 steps that `f32` has there.
#[must_use]
pub fn uniform(generator: &mut ChaCha8Rng) -> f32 {
    unit(generator.next_u32())
}

/// A random word as such a number.
#[inline]
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / 16_777_216.0
}

/// `f` of each of the next `len` numbers of [`uniform`]: the same as drawn one after the other, but many at once, in pieces on several
/// threads.
#[must_use]
pub fn uniforms(len: usize, generator: &mut ChaCha8Rng, f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    const PIECE: usize = 1 << 13;
    /// Numbers whose words are drawn together.
    const BLOCK: usize = 512;
    const WORD: usize = size_of::<u32>();
    /// What a number costs, in multiply-adds.
    const COST: usize = 16;
    let start = generator.get_word_pos();
    let from = &*generator;
    let isa = Isa::current();
    let work = |piece: usize, mut drawn: Unset<f32>| {
        // Each takes one word of the stream, in which one can begin anywhere.
        let mut generator = from.clone();
        generator.set_word_pos(start + (piece * PIECE) as u128);
        let mut words = [0; BLOCK * WORD];
        for first in (0..drawn.len()).step_by(BLOCK) {
            let range = first..(first + BLOCK).min(drawn.len());
            let words = &mut words[..range.len() * WORD];
            generator.fill_bytes(words);
            let mut drawn = drawn.part(range);
            vectorized(
                isa,
                #[inline(always)]
                || {
                    drawn.write(words.as_chunks().0.iter().map(
                        #[inline(always)]
                        |word| f(unit(u32::from_le_bytes(*word))),
                    ));
                },
            );
        }
    };
    // SAFETY: the blocks of a piece are all of it, and have a word for each number.
    let drawn = unsafe { threads::build_unset(len, PIECE, len * COST, work) };
    generator.set_word_pos(start + len as u128);
    drawn
}

/// A number from the standard normal distribution, by Box and Muller's transform.
#[must_use]
pub fn normal(generator: &mut ChaCha8Rng) -> f64 {
    let radius = -2.0 * (1.0 - uniform_53(generator)).ln();
    radius.sqrt() * (std::f64::consts::TAU * uniform_53(generator)).cos()
}

fn uniform_53(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_each_time_and_unlike_the_others() {
        let draw = |stream| Seed(7).stream(stream).next_u64();
        assert_eq!(draw(Stream::Weights(3)), draw(Stream::Weights(3)));
        let streams = [
            Stream::Weights(0),
            Stream::Weights(1),
            Stream::Shuffle(0),
            Stream::Shuffle(1),
            Stream::Dropout { layer: 0, step: 0 },
            Stream::Dropout { layer: 1, step: 0 },
            Stream::Dropout { layer: 0, step: 1 },
            Stream::Split,
            Stream::ValidationSplit,
        ];
        let mut drawn: Vec<u64> = streams.into_iter().map(draw).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), streams.len());
        assert_ne!(Seed(7).derived(Stream::Split), Seed(8).derived(Stream::Split));
    }

    #[test]
    fn numbers_drawn_in_pieces_are_those_drawn_one_after_the_other() {
        let mut one_by_one = Seed(3).stream(Stream::Dropout { layer: 1, step: 2 });
        let mut in_pieces = one_by_one.clone();
        for len in [5, 0, 40_001, 3, 1 << 16] {
            let want: Vec<f32> = (0..len).map(|_| uniform(&mut one_by_one)).collect();
            assert!(uniforms(len, &mut in_pieces, |x| x) == want, "{len} numbers");
        }
        assert_eq!(one_by_one.next_u64(), in_pieces.next_u64());
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = permutation(1000, &mut Seed(1).stream(Stream::Shuffle(0)));
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &n)| i == n));
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let mut generator = Seed(2).stream(Stream::Split);
        let drawn: Vec<f64> = (0..20_000).map(|_| normal(&mut generator)).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}
