//! Which steps are computed, in which order and beside which others.
//!
//! Rows of a batch never meet, and a row's masked steps change nothing. So a row is just a list of steps and a state to begin with,
//! and lists may be of any length:
//!
//! - a masked step is left out;
//! - equal first steps of several rows, all beginning at zero, pass through equal states: they are computed once, as one more row
//!   (the trunk), and each row's list begins where it leaves the trunk.
//!
//! Rows are sorted by the length of their lists and cut into blocks. In a block all lists begin together, so the rows still at work
//! are always its first, and the steps of the block are stored one behind another without gaps. What a block holds depends on the
//! batch alone, never on the number of threads.

use std::ops::Range;

use super::layer::{Call, Input, Layer};
use crate::nn::threads::even_pieces;

/// Rows that walk together.
#[derive(Debug)]
pub(super) struct Block {
    /// Rows of the batch, longest list first.
    pub(super) rows: Vec<usize>,
    /// Where each row's list begins, unless there is a mask.
    begins: Vec<usize>,
    /// With a mask, each row's list.
    listed: Option<Vec<Vec<usize>>>,
    /// How many rows, always the first ones, walk at each step.
    pub(super) active: Vec<usize>,
    /// Steps of all rows before each step, and at last all of them.
    pub(super) before: Vec<usize>,
    /// Steps in all blocks before this one.
    pub(super) first: usize,
    /// Steps of each row in the batch.
    steps: usize,
}

impl Block {
    fn new(
        rows: Vec<usize>,
        begins: Vec<usize>,
        lengths: &[usize],
        listed: Option<Vec<Vec<usize>>>,
        steps: usize,
    ) -> Self {
        let longest = lengths.first().copied().unwrap_or(0);
        let active: Vec<usize> = (0..longest)
            .map(|step| lengths.partition_point(|&length| length > step))
            .collect();
        let mut before = vec![0];
        before.extend(active.iter().scan(0, |sum, &n| {
            *sum += n;
            Some(*sum)
        }));
        Self {
            rows,
            begins,
            listed,
            active,
            before,
            first: 0,
            steps,
        }
    }

    /// Steps of all its rows.
    pub(super) fn total(&self) -> usize {
        self.before.last().copied().unwrap_or(0)
    }

    /// Position, in the order of walking, of step `step` of the block's row `r`.
    pub(super) fn position(&self, r: usize, step: usize) -> usize {
        match &self.listed {
            Some(listed) => listed[r][step],
            None => self.begins[r] + step,
        }
    }

    /// The positions whose output is that of step `step` of the block's row `r`: its own, and masked ones behind it.
    pub(super) fn outputs(&self, r: usize, step: usize) -> Range<usize> {
        match &self.listed {
            Some(listed) => listed[r][step]..listed[r].get(step + 1).copied().unwrap_or(self.steps),
            None => self.begins[r] + step..self.begins[r] + step + 1,
        }
    }
}

/// The walk of a batch.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) blocks: Vec<Block>,
    /// The steps that rows share, if any, as the block of one row whose steps stand for all.
    pub(super) trunk: Option<Block>,
    /// For each row, how many steps of the trunk are its own.
    pub(super) shared: Vec<usize>,
    /// Rows that have no step at all, not even a shared one.
    pub(super) idle: Vec<usize>,
    /// Steps in all blocks and the trunk.
    pub(super) total: usize,
    /// Steps of each row of the batch.
    pub(super) steps: usize,
}

impl Plan {
    pub(super) fn new(layer: &Layer, call: &Call<'_>) -> Self {
        let Call { batch, steps, .. } = *call;
        let mut shared = vec![0; batch];
        let mut trunk = None;
        let alike = call.initial.is_none() && call.mask.is_none();
        if call.share_prefix && alike && call.dropout.is_none() && call.recurrent_dropout.is_none() {
            let found = shared_prefixes(layer, call);
            if found.longest > 0 {
                shared = found.shared;
                trunk = Some(Block::new(vec![found.row], vec![0], &[found.longest], None, steps));
            }
        }
        let mut lists: Vec<Vec<usize>> = Vec::new();
        if let Some(mask) = call.mask {
            let time = |position: usize| {
                if layer.go_backwards {
                    steps - 1 - position
                } else {
                    position
                }
            };
            lists.extend((0..batch).map(|row| (0..steps).filter(|&p| mask[row * steps + time(p)]).collect()));
        }
        let length = |row: usize| lists.get(row).map_or(steps - shared[row], Vec::len);
        let (idle, mut order): (Vec<usize>, Vec<usize>) = (0..batch).partition(|&row| length(row) + shared[row] == 0);
        order.retain(|&row| length(row) > 0);
        order.sort_by_key(|&row| std::cmp::Reverse(length(row)));
        let lengths: Vec<usize> = order.iter().map(|&row| length(row)).collect();
        let mut blocks: Vec<Block> = cut(layer, &lengths)
            .into_iter()
            .map(|range| {
                let rows = &order[range.clone()];
                let begins = rows.iter().map(|&row| shared[row]).collect();
                let listed = call.mask.map(|_| rows.iter().map(|&row| lists[row].clone()).collect());
                Block::new(rows.to_vec(), begins, &lengths[range], listed, steps)
            })
            .collect();
        let mut total = 0;
        for block in blocks.iter_mut().chain(trunk.as_mut()) {
            block.first = total;
            total += block.total();
        }
        Self {
            blocks,
            trunk,
            shared,
            idle,
            total,
            steps,
        }
    }

    /// All blocks, the trunk last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().chain(&self.trunk)
    }
}

/// The blocks of rows whose lists have these lengths, longest first. Few rows make many blocks for the threads; but each step of a
/// block reads the whole recurrent kernel, which must pay when it is too big for the second-level cache.
///
/// Threads take the blocks in turn, longest lists first. So two blocks are cut to hold equally many steps. More of them come out even
/// by being many, and blocks of equally many steps would end with ones of too many rows, and begin with ones of too few to be fast:
/// they are cut between equal numbers of steps and equal numbers of rows, by the square roots of the lengths.
fn cut(layer: &Layer, lengths: &[usize]) -> Vec<Range<usize>> {
    const BIG: usize = 1 << 17;
    /// Rows that are not cut in two for a second thread.
    const FEW: usize = 16;
    let rows = lengths.len();
    let most = if layer.units * layer.columns() <= BIG { 24 } else { 48 };
    let most = most.min(rows.div_ceil(2).max(FEW));
    let even = even_pieces(rows, most);
    if lengths.first() == lengths.last() {
        return even;
    }
    let weight = |&length: &usize| {
        let length = u32::try_from(length).map_or(f64::MAX, f64::from);
        if even.len() == 2 { length } else { length.sqrt() }
    };
    let weights: Vec<f64> = lengths.iter().map(weight).collect();
    balanced(&weights, even.len(), if even.len() == 2 { rows } else { most })
}

/// `count` ranges of rows, none empty and none of more than `most`, whose weights sum up as alike as can be without sorting.
fn balanced(weights: &[f64], count: usize, most: usize) -> Vec<Range<usize>> {
    let rows = weights.len();
    let mut left: f64 = weights.iter().sum();
    let mut end = 0;
    let mut ranges = Vec::with_capacity(count);
    for behind in (0..count).rev() {
        #[expect(clippy::cast_precision_loss, reason = "a few ranges")]
        let share = left / (behind + 1) as f64;
        let (first, mut sum) = (end, 0.0);
        // What is left must fill the ranges behind this one, and fit them.
        while end + behind < rows {
            let weight = weights[end];
            let fits = end - first < most && sum + weight / 2.0 <= share;
            if end > first && !fits && rows - end <= behind * most {
                break;
            }
            sum += weight;
            end += 1;
        }
        left -= sum;
        ranges.push(first..end);
    }
    ranges
}

struct Prefixes {
    shared: Vec<usize>,
    longest: usize,
    /// A row that stays to the end of the trunk.
    row: usize,
}

/// Follows, step by step, the largest group of rows that have been equal so far.
fn shared_prefixes(layer: &Layer, call: &Call<'_>) -> Prefixes {
    let Call { batch, steps, .. } = *call;
    let step = |row: usize, position: usize| {
        let time = if layer.go_backwards {
            steps - 1 - position
        } else {
            position
        };
        let at = row * steps + time;
        match call.input {
            Input::Values(x) => &x[at * layer.features..(at + 1) * layer.features],
            Input::Ids { ids, .. } => &ids[at..=at],
        }
    };
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    let mut shared = vec![0; batch];
    let mut group: Vec<usize> = (0..batch).collect();
    let mut longest = 0;
    while longest < steps && group.len() > 1 {
        let leader = step(group[0], longest);
        if !group.iter().all(|&row| same(step(row, longest), leader)) {
            let next = largest_class(&group, |row| step(row, longest));
            if next.len() < 2 {
                break;
            }
            group = next;
        }
        longest += 1;
        for &row in &group {
            shared[row] = longest;
        }
    }
    // One row walks the trunk for all; that is no gain when it is the only one to do so.
    if shared.iter().sum::<usize>() <= longest {
        return Prefixes {
            shared: vec![0; batch],
            longest: 0,
            row: 0,
        };
    }
    Prefixes {
        shared,
        longest,
        row: group.first().copied().unwrap_or(0),
    }
}

/// The largest class of rows with equal steps, in ascending order.
fn largest_class<'a>(group: &[usize], step: impl Fn(usize) -> &'a [f32]) -> Vec<usize> {
    let bits = |row: usize| step(row).iter().map(|x| x.to_bits());
    let mut sorted = group.to_vec();
    sorted.sort_by(|&a, &b| bits(a).cmp(bits(b)).then(a.cmp(&b)));
    let mut best: &[usize] = &[];
    for class in sorted.chunk_by(|&a, &b| bits(a).eq(bits(b))) {
        if class.len() > best.len() {
            best = class;
        }
    }
    best.to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Cell};
    use super::*;

    #[test]
    fn rows_are_cut_into_blocks_for_an_even_number_of_threads() {
        let sizes = |units: usize, rows: usize| -> Vec<usize> {
            let layer = Layer {
                cell: Cell::Lstm {
                    activation: Activation::Tanh,
                    recurrent_activation: Activation::Sigmoid,
                },
                features: 8,
                units,
                return_sequences: false,
                go_backwards: false,
            };
            cut(&layer, &vec![300; rows])
                .into_iter()
                .map(|block| block.len())
                .collect()
        };
        assert_eq!([sizes(100, 1), sizes(100, 16)], [[1], [16]]);
        assert_eq!(sizes(100, 32), [16, 16]);
        assert_eq!(sizes(100, 128), [21, 21, 22, 21, 21, 22]);
        // A recurrent kernel beyond the second cache is read for more rows at once.
        assert_eq!(sizes(256, 32), [16, 16]);
        assert_eq!(sizes(256, 128), [32, 32, 32, 32]);
        assert!(sizes(100, 0).is_empty());
    }

    #[test]
    fn rows_of_unlike_lengths_are_cut_into_blocks_that_end_together() {
        let layer = Layer {
            cell: Cell::Simple {
                activation: Activation::Tanh,
            },
            features: 8,
            units: 100,
            return_sequences: false,
            go_backwards: false,
        };
        let sizes = |lengths: &[usize]| -> Vec<usize> {
            let blocks = cut(&layer, lengths);
            assert_eq!(blocks.first().map(|block| block.start), Some(0));
            assert!(blocks.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(blocks.last().map(|block| block.end), Some(lengths.len()));
            blocks.into_iter().map(|block| block.len()).collect()
        };
        let falling = |rows: usize| -> Vec<usize> { (0..rows).map(|row| 500 - 450 * row / rows).collect() };
        assert_eq!(sizes(&falling(32)), [10, 22]);
        let steps = |rows: &[usize]| rows.iter().sum::<usize>();
        assert_eq!([steps(&falling(32)[..10]), steps(&falling(32)[10..])], [4370, 4670]);
        assert_eq!(sizes(&falling(64)), [12, 13, 16, 23]);
        assert_eq!(sizes(&falling(128)), [16, 17, 23, 24, 24, 24]);
        // One row is long: it is a block, and the other blocks hold no more than they may.
        let mut lengths = vec![3; 100];
        lengths[0] = 5000;
        assert_eq!(sizes(&lengths), [1, 20, 20, 20, 19, 20]);
        lengths.truncate(32);
        assert_eq!(sizes(&lengths), [1, 31]);
    }
}
