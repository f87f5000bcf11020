//! The gradients of two blocks row by row, if the first one's input has none.
//!
//! Of one row at a time, the last one first: what the row adds to the second block's weights, then the gradient between the blocks, and
//! from there what it adds to the first one's. Where the picture is empty most of it is left out, and made up for in the end ([`Blank`]).

use std::ops::Range;
use std::sync::Arc;

use super::super::ConvGeometry;
use super::super::block::{BlockWeights, ConvGradients};
use super::super::sparse::{Ahead, Left, OfBias, Pooled, Sparse};
use super::blank::Blank;
use super::{ConvPair, PairNeeds, Passed};
use crate::nn::threads::{self, Aligned, Unset, with_list, with_scratch};

/// A batch, and what its gradients need of weights and geometry.
struct ByRows<'a> {
    pair: &'a ConvPair,
    x: &'a [f32],
    passed: &'a Passed,
    dy: &'a [f32],
    of_second: [bool; 2],
    sparse: [Arc<Sparse>; 2],
    blank: Arc<Option<Blank>>,
    /// The second's kernel.
    by_filter: Arc<Aligned>,
}

/// The sums that some rows are added to: for kernel and bias of both blocks, and for what is blank between them.
struct Sums<'a> {
    second: [&'a mut [f32]; 2],
    blank: &'a mut [f32],
    first: [&'a mut [f32]; 2],
}

impl ConvPair {
    /// [`Self::backward`] where the weights of the first block have gradients, and its input has none.
    pub(super) fn backward_by_rows(
        &self,
        x: &[f32],
        weights: [BlockWeights; 2],
        passed: &Passed,
        dy: &[f32],
        needs: PairNeeds,
    ) -> [ConvGradients; 2] {
        let Self { first, second, .. } = self;
        let [input_len, between_len, output_len] = self.lens();
        let rows = ConvGeometry::rows(dy, output_len);
        assert!(
            passed.between.len() == rows * between_len && x.len() == rows * input_len,
            "{rows} rows"
        );
        let sparse = [first.sparse(), second.sparse()];
        let by_rows = ByRows {
            pair: self,
            x,
            passed,
            dy,
            of_second: needs.second,
            blank: self
                .blank
                .get([&[], &[]], || Blank::new(second, [&sparse[0], &sparse[1]])),
            by_filter: second.by_filter(&sparse[1], weights[1].kernel),
            sparse,
        };
        let len = second.weights_len() + by_rows.blank_len() + first.weights_len();
        let groups = threads::reduction_groups(rows, len);
        let mut sums = threads::sum_groups(len, groups, self.cost(rows), |group, sums| {
            by_rows.add(
                threads::group_rows(rows, groups, groups - 1 - group),
                by_rows.sums(sums),
            );
        });
        by_rows.add_blank(weights[0].bias, by_rows.sums(&mut sums));
        // The second's come first, as they are mostly longer: only what is behind them is copied.
        let of_first = sums.split_off(second.weights_len() + by_rows.blank_len());
        sums.truncate(second.weights_len());
        let [of_first_block, of_second_block] = &by_rows.sparse;
        [
            first.weight_gradients(of_first_block, of_first, [needs.first[1], needs.first[2]]),
            second.weight_gradients(of_second_block, sums, needs.second),
        ]
    }
}

impl ByRows<'_> {
    /// Sums side by side in `values`.
    fn sums<'a>(&self, values: &'a mut [f32]) -> Sums<'a> {
        let ConvPair { first, second, .. } = self.pair;
        let (of_second, values) = values.split_at_mut(second.weights_len());
        let (blank, of_first) = values.split_at_mut(self.blank_len());
        Sums {
            second: of_second.split_at_mut(second.conv.kernel_len()).into(),
            blank,
            first: of_first.split_at_mut(first.conv.kernel_len()).into(),
        }
    }

    fn blank_len(&self) -> usize {
        self.blank.as_ref().as_ref().map_or(0, Blank::len)
    }

    /// Adds some rows.
    fn add(&self, rows: Range<usize>, mut sums: Sums) {
        let nothing = self.sparse[1].ahead(&[], None);
        let Some(blank) = self.blank.as_ref() else {
            for row in rows.clone().rev() {
                let ahead = (row > rows.start).then(|| self.sparse[1].ahead(self.between(row - 1), None));
                self.add_row(row, None, ahead.unwrap_or(nothing), &mut sums);
            }
            return;
        };
        with_list(|live: &mut Vec<bool>| {
            live.resize(rows.len() * blank.places(), false);
            let of_rows = live.chunks_exact_mut(blank.places());
            for (row, live) in rows.clone().zip(of_rows) {
                self.sparse[0].mark_filled(self.x(row), live);
            }
            let of_row = |row: usize| &live[(row - rows.start) * blank.places()..][..blank.places()];
            for row in rows.clone().rev() {
                let of_next = |row: usize| self.sparse[1].ahead(self.between(row), Some(of_row(row)));
                let ahead = if row > rows.start { of_next(row - 1) } else { nothing };
                if blank.pays(of_row(row)) {
                    self.add_live(row, of_row(row), ahead, blank, &mut sums);
                } else {
                    self.add_row(row, Some(of_row(row)), ahead, &mut sums);
                }
            }
        });
    }

    /// Adds one row; of its places the `filled` ones are not blank, if that is known.
    fn add_row(&self, row: usize, filled: Option<&[bool]>, ahead: Ahead, sums: &mut Sums) {
        let [first, second] = &self.sparse;
        let pooled = self.pooled(row);
        if self.of_second != [false; 2] {
            let [dk, db] = &mut sums.second;
            second.parameters(self.between(row), ahead, pooled, dk, db);
        }
        with_scratch(self.pair.first.output_len(), |slopes| {
            second.input(&self.by_filter, pooled, None, Unset::replacing(slopes));
            let pooled = self.pair.first.pooled(slopes, &self.passed.winners[0], row);
            let [dk, db] = &mut sums.first;
            match filled {
                Some(filled) => first.parameters_of(filled, OfBias::All, self.x(row), pooled, dk, db),
                None => first.parameters(self.x(row), first.ahead(&[], None), pooled, dk, db),
            }
        });
    }

    /// Adds one row without what is blank, of which it adds the slopes.
    fn add_live(&self, row: usize, places: &[bool], ahead: Ahead, blank: &Blank, sums: &mut Sums) {
        let [first, second] = &self.sparse;
        let pooled = self.pooled(row);
        let winners = self.pair.first.output_len();
        first.ask_for(&self.passed.winners[0].0[row * winners..][..winners], places);
        let mut of_blank = blank.slopes(sums.blank);
        blank.add(places, pooled, &mut of_blank);
        second.with_live(places, |live| {
            if self.of_second != [false; 2] {
                let [dk, db] = &mut sums.second;
                let left = Left {
                    live,
                    sums: of_blank.by_run,
                };
                second.parameters_but(left, self.between(row), ahead, pooled, dk, db);
            }
            with_scratch(self.pair.first.output_len(), |slopes| {
                second.input(&self.by_filter, pooled, Some(live), Unset::replacing(slopes));
                let pooled = self.pair.first.pooled(slopes, &self.passed.winners[0], row);
                let [dk, db] = &mut sums.first;
                first.parameters_of(places, OfBias::Filled, self.x(row), pooled, dk, db);
            });
        });
    }

    /// Adds what is blank in all rows together.
    fn add_blank(&self, bias: Option<&[f32]>, sums: Sums) {
        let Some(blank) = self.blank.as_ref() else {
            return;
        };
        let none = vec![0.0; self.pair.first.conv.filters];
        let [dk, _] = sums.second;
        let [_, db] = sums.first;
        let slopes = blank.slopes(sums.blank);
        blank.add_all(&self.sparse[1], &slopes, &self.by_filter, bias.unwrap_or(&none), dk, db);
    }

    fn x(&self, row: usize) -> &[f32] {
        let len = self.pair.first.input_len();
        &self.x[row * len..][..len]
    }

    fn between(&self, row: usize) -> &[f32] {
        let len = self.pair.first.output_len();
        &self.passed.between[row * len..][..len]
    }

    /// The second block's gradients.
    fn pooled(&self, row: usize) -> Pooled<'_> {
        let len = self.pair.second.output_len();
        let dy = &self.dy[row * len..][..len];
        self.pair.second.pooled(dy, &self.passed.winners[1], row)
    }
}
