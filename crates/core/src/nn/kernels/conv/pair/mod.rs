//! Two blocks behind each other, a few rows at a time.
//!
//! What a first [`ConvBlock`] hands to a second is often the largest result of a network: for a piece of a batch it exceeds a core's own
//! cache, and so does its gradient. Here the second block takes what the first makes of a few rows while it is in the cache; the gradient
//! between the two never has more than one row, which the first block takes at once ([`backward`]). Where a picture is empty, most of
//! the gradients' work is left out ([`blank`]).

mod backward;
mod blank;

use std::sync::Arc;

use self::blank::Blank;
use super::ConvGeometry;
use super::block::{BlockWeights, ConvBlock, ConvGradients, Ready, Winners};
use super::kept::Kept;
use crate::nn::threads::{self, Aligned, Unset, with_scratch};

/// A [`ConvBlock`] and a second one that takes what the first puts out.
pub struct ConvPair {
    first: ConvBlock,
    second: ConvBlock,
    /// How blank places between the two are counted, if they can be.
    blank: Kept<Option<Blank>>,
}

impl std::fmt::Debug for ConvPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, second, .. } = self;
        f.debug_struct("ConvPair")
            .field("first", first)
            .field("second", second)
            .finish_non_exhaustive()
    }
}

/// What the backward pass of a [`ConvPair`] needs of the forward pass.
#[derive(Debug)]
pub struct Passed {
    /// What the first block put out, `[batch, pooling windows.., filters]`. Long patches are read from a cache line on.
    between: Aligned,
    /// Of both blocks.
    winners: [Winners; 2],
}

/// Some rows of a batch on their way through both blocks.
struct Chunk<'a> {
    x: &'a [f32],
    between: Unset<'a, f32>,
    y: Unset<'a, f32>,
    winners: [Unset<'a, u8>; 2],
}

impl ConvPair {
    /// None where the second does not take what the first puts out.
    #[must_use]
    pub fn new(first: ConvBlock, second: ConvBlock) -> Option<Self> {
        second.takes(&first).then(|| Self {
            first,
            second,
            blank: Kept::new(),
        })
    }

    /// The second block's output, `[batch, pooling windows.., filters]`. What is between the blocks is never kept.
    ///
    /// # Panics
    /// When a slice does not fit the geometry: the layers check their shapes before.
    #[must_use]
    pub fn output(&self, x: &[f32], weights: [BlockWeights; 2]) -> Vec<f32> {
        let [input_len, between_len, output_len] = self.lens();
        let rows = ConvGeometry::rows(x, input_len);
        let ready = self.ready(weights);
        let at_once = self.rows_at_once(&ready, rows);
        let work = |chunk: usize, y: Unset<f32>| {
            let rows = y.len() / output_len;
            let x = &x[chunk * at_once * input_len..][..rows * input_len];
            with_scratch(rows * between_len, |between| {
                self.first.rows(&ready[0], x, &[], Unset::replacing(between), None);
                self.second.rows(&ready[1], between, &[], y, None);
            });
        };
        // SAFETY: chunks are whole rows, of which the second block writes all.
        unsafe { threads::build_unset(rows * output_len, at_once * output_len, self.cost(rows), work) }
    }

    /// [`Self::output`] and what the backward pass needs.
    ///
    /// # Panics
    /// As [`Self::output`].
    #[must_use]
    pub fn forward(&self, x: &[f32], weights: [BlockWeights; 2]) -> (Vec<f32>, Passed) {
        let lens = self.lens();
        let rows = ConvGeometry::rows(x, lens[0]);
        let [input_len, between_len, output_len] = lens.map(|len| rows * len);
        let ready = self.ready(weights);
        let at_once = self.rows_at_once(&ready, rows);
        let at_once = lens.map(|len| at_once * len);
        let mut between = Aligned::with_room(between_len);
        let mut y = Vec::with_capacity(output_len);
        let [mut of_first, mut of_second] = [between_len, output_len].map(Vec::with_capacity);
        let chunks = x[..input_len]
            .chunks(at_once[0])
            .zip(between.room(between_len).chunks(at_once[1]))
            .zip(Unset::room_of(&mut y, output_len).chunks(at_once[2]))
            .zip(Unset::room_of(&mut of_first, between_len).chunks(at_once[1]))
            .zip(Unset::room_of(&mut of_second, output_len).chunks(at_once[2]))
            .map(|((((x, between), y), of_first), of_second)| Chunk {
                x,
                between,
                y,
                winners: [of_first, of_second],
            });
        threads::each_of(chunks.collect(), self.cost(rows), |_, chunk: Chunk| {
            let Chunk {
                x,
                mut between,
                y,
                winners: [of_first, of_second],
            } = chunk;
            self.first.rows(&ready[0], x, &[], between.reborrow(), Some(of_first));
            // SAFETY: the first block has written all of its rows.
            let between = unsafe { between.written() };
            self.second.rows(&ready[1], between, &[], y, Some(of_second));
        });
        // SAFETY: there are as many chunks of each, whole rows, and the blocks have written all of them.
        unsafe {
            between.set_len(between_len);
            y.set_len(output_len);
            of_first.set_len(between_len);
            of_second.set_len(output_len);
        }
        let winners = [of_first, of_second].map(Winners);
        (y, Passed { between, winners })
    }

    /// The gradients of both blocks from the one for the output, `dy`; each only if `needs` asks for it. The second's input is between
    /// the blocks and has none.
    ///
    /// # Panics
    /// When a slice does not fit the geometry.
    #[must_use]
    pub fn backward(
        &self,
        x: &[f32],
        weights: [BlockWeights; 2],
        passed: &Passed,
        dy: &[f32],
        needs: PairNeeds,
    ) -> [ConvGradients; 2] {
        let kernels = weights.map(|weights| weights.kernel);
        let Passed { between, winners } = passed;
        let of_first = needs.first[1] || needs.first[2];
        if of_first && !needs.first[0] {
            return self.backward_by_rows(x, weights, passed, dy, needs);
        }
        let [kernel, bias] = needs.second;
        let needs_of_second = [of_first || needs.first[0], kernel, bias];
        let mut second = self
            .second
            .backward(between, kernels[1], &winners[1], dy, needs_of_second);
        let first = second
            .input
            .take()
            .map(|dy| self.first.backward(x, kernels[0], &winners[0], &dy, needs.first));
        [first.unwrap_or_default(), second]
    }

    /// Values of one row of the input, between the blocks, and of the output.
    fn lens(&self) -> [usize; 3] {
        [
            self.first.input_len(),
            self.first.output_len(),
            self.second.output_len(),
        ]
    }

    fn cost(&self, rows: usize) -> usize {
        self.first.cost(rows) + self.second.cost(rows)
    }

    fn ready(&self, [first, second]: [BlockWeights; 2]) -> [Arc<Ready>; 2] {
        [self.first.ready(first), self.second.ready(second)]
    }

    fn rows_at_once(&self, [_, second]: &[Arc<Ready>; 2], rows: usize) -> usize {
        let [_, between, output] = self.lens();
        self.second.rows_at_once(second, rows, between.max(output))
    }
}

/// Which gradients of a [`ConvPair`] are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairNeeds {
    /// Input, kernel and bias of the first block.
    pub first: [bool; 3],
    /// Kernel and bias of the second.
    pub second: [bool; 2],
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Case, case, on_every_instruction_set};
    use super::*;
    use crate::nn::kernels::testing::values;
    use crate::nn::kernels::window::{Padding, Window};

    /// A convolution of pictures of that size with max-pooling of windows of `pool` by `pool`, two cells apart.
    fn block(
        input: [usize; 2],
        channels: usize,
        cells: usize,
        filters: usize,
        same: bool,
        pool: usize,
    ) -> Option<ConvBlock> {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let conv = ConvGeometry::new(&input, channels, &[cells; 2], filters, &[1; 2], &[1; 2], padding).ok()?;
        let pool = Window::new(&conv.window.output[1..], &[pool; 2], &[2; 2], &[1; 2], Padding::Valid).ok()?;
        ConvBlock::new(conv, pool)
    }

    /// A block, and one that takes what it puts out.
    fn blocks() -> impl Strategy<Value = [ConvBlock; 2]> {
        let conv = || {
            (
                prop_oneof![Just(1_usize), Just(3), Just(5)],
                1_usize..40,
                any::<bool>(),
                2_usize..4,
            )
        };
        let channels = prop_oneof![Just(1_usize), 2_usize..20];
        let lengths = (8_usize..17, 8_usize..17);
        (lengths, channels, conv(), conv()).prop_filter_map("both fit", |((height, width), channels, first, second)| {
            let block =
                |input, channels, (cells, filters, same, pool)| block(input, channels, cells, filters, same, pool);
            let first_block = block([height, width], channels, first)?;
            let [_, height, width] = first_block.pool.output;
            Some([first_block, block([height, width], first.1, second)?])
        })
    }

    /// Inputs, kernels and biases of both blocks, and gradients of the second's output.
    struct Cases([Case; 2], Vec<f32>);

    impl Cases {
        fn new(blocks: [&ConvBlock; 2], batch: usize) -> Self {
            let cases = blocks.map(|block| case(&block.conv, batch));
            Self(cases, values(batch * blocks[1].output_len(), 6))
        }

        /// Pictures with empty surroundings. All values are small whole numbers: their sums are the same in any order.
        fn of_pictures(blocks: [&ConvBlock; 2], batch: usize) -> Self {
            let Self([mut first, mut second], mut dy) = Self::new(blocks, batch);
            let [_, height, width] = blocks[0].conv.window.input;
            let channels = blocks[0].conv.channels;
            for (at, value) in first.x.iter_mut().enumerate() {
                let (row, cell) = (at / channels / (height * width), at / channels % (height * width));
                let middle = |at: usize, length: usize| (length / 3 + row % 2..length / 3 + 3).contains(&at);
                if !(middle(cell / width, height) && middle(cell % width, width)) {
                    *value = 0.0;
                }
            }
            let of_both = [&mut first, &mut second].map(|case| [&mut case.x, &mut case.kernel, &mut case.bias]);
            for value in of_both.into_iter().flatten().chain([&mut dy]).flatten() {
                *value = (*value * 3.0).round();
            }
            Self([first, second], dy)
        }

        fn x(&self) -> &[f32] {
            &self.0[0].x
        }

        fn weights(&self) -> [BlockWeights<'_>; 2] {
            self.0.each_ref().map(Case::weights)
        }
    }

    /// The blocks one after the other.
    fn apart(blocks: [&ConvBlock; 2], cases: &Cases, needs: PairNeeds) -> (Vec<f32>, [ConvGradients; 2]) {
        let (Cases([first, second], dy), weights) = (cases, cases.weights());
        let (between, of_first) = blocks[0].forward(cases.x(), weights[0]);
        let (y, of_second) = blocks[1].forward(&between, weights[1]);
        let [kernel, bias] = needs.second;
        let mut gradients = blocks[1].backward(&between, &second.kernel, &of_second, dy, [true, kernel, bias]);
        let slopes = gradients.input.take().unwrap();
        let of_first = blocks[0].backward(cases.x(), &first.kernel, &of_first, &slopes, needs.first);
        (y, [of_first, gradients])
    }

    /// Asserts that both, computed together, have what they have apart.
    fn is_its_two_blocks(pair: &ConvPair, cases: &Cases, needs: PairNeeds) {
        let (y, passed) = pair.forward(cases.x(), cases.weights());
        let gradients = pair.backward(cases.x(), cases.weights(), &passed, &cases.1, needs);
        assert_eq!(pair.output(cases.x(), cases.weights()), y);
        assert_eq!((y, gradients), apart([&pair.first, &pair.second], cases, needs));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_pair_is_its_two_blocks(blocks in blocks(), batch in 1_usize..5, first in any::<[bool; 3]>(), second in any::<[bool; 2]>()) {
            let [first_block, second_block] = blocks;
            let pair = ConvPair::new(first_block, second_block).unwrap();
            let (blocks, needs) = ([&pair.first, &pair.second], PairNeeds { first, second });
            for cases in [Cases::new(blocks, batch), Cases::of_pictures(blocks, batch)] {
                on_every_instruction_set(|| is_its_two_blocks(&pair, &cases, needs));
            }
        }
    }

    #[test]
    fn what_is_blank_between_two_blocks_is_left_out_and_made_up_for() {
        let needs = PairNeeds {
            first: [false, true, true],
            second: [true; 2],
        };
        for (same, cells) in [(false, 3), (true, 3), (true, 5)] {
            let first = block([28, 28], 1, 3, 64, true, 2).unwrap();
            let second = block([14, 14], 64, cells, 32, same, 2).unwrap();
            let pair = ConvPair::new(first, second).unwrap();
            let cases = Cases::of_pictures([&pair.first, &pair.second], 3);
            on_every_instruction_set(|| {
                let sparse = [pair.first.sparse(), pair.second.sparse()];
                let blank = Blank::new(&pair.second, [&sparse[0], &sparse[1]]).unwrap();
                let mut live = vec![true; blank.places()];
                sparse[0].mark_filled(&cases.x()[..28 * 28], &mut live);
                assert!(live.contains(&true) && blank.pays(&live));
                is_its_two_blocks(&pair, &cases, needs);
            });
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let needs = PairNeeds {
            first: [false, true, true],
            second: [true; 2],
        };
        let first = block([28, 28], 1, 3, 64, true, 2).unwrap();
        let pair = ConvPair::new(first, block([14, 14], 64, 3, 32, false, 2).unwrap()).unwrap();
        let cases = Cases::new([&pair.first, &pair.second], 40);
        let run = || {
            let (y, passed) = pair.forward(cases.x(), cases.weights());
            let gradients = pair.backward(cases.x(), cases.weights(), &passed, &cases.1, needs);
            assert_eq!(pair.output(cases.x(), cases.weights()), y);
            (y, gradients)
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(run), alone);
        }
    }

    #[test]
    fn blocks_that_do_not_fit_each_other_make_no_pair() {
        let fits = |input: [usize; 2], channels: usize| {
            let first = block([12, 10], 2, 3, 5, true, 2).unwrap();
            ConvPair::new(first, block(input, channels, 3, 7, true, 2).unwrap()).is_some()
        };
        assert_eq!(
            [fits([6, 5], 5), fits([5, 6], 5), fits([6, 5], 6)],
            [true, false, false]
        );
    }
}
