//! Everything that is drawn, from one seed.

use galaxy_burn_core::nn::random::uniform;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tensor::Tensor;

/// A generator of cases.
#[derive(Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The generator number `stream` of a seed; streams do not disturb each other.
    pub fn new(seed: u64, stream: &str) -> Self {
        // FNV-1a: the same on every machine.
        let number = stream.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(number);
        Self(generator)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.0.random_range(0..of.len())]
    }

    /// Yes, this often.
    pub fn chance(&mut self, share: f32) -> bool {
        uniform(&mut self.0) < share
    }

    /// A whole number, both ends included.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }

    /// Any number.
    pub fn seed(&mut self) -> u64 {
        self.0.random_range(0..1 << 30)
    }

    /// A number of this range.
    pub fn uniform(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * uniform(&mut self.0)
    }

    /// A tensor of numbers of this range.
    pub fn tensor(&mut self, shape: &[usize], least: f32, most: f32) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| self.uniform(least, most)).collect();
        Tensor::new(shape, values)
    }
}
