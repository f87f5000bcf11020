//! What will be wanted soon, for the cache.

use std::ops::Range;

use super::Sparse;
use crate::nn::kernels::simd::{Simd, Work, run};

/// Bytes of a cache line.
const LINE: usize = 64;

/// The input that will be wanted next: all of it, or its live places.
#[derive(Clone, Copy)]
pub struct Ahead<'a> {
    values: &'a [f32],
    channels: usize,
    live: Option<&'a [bool]>,
}

impl Sparse {
    /// What will be wanted next: all of some values, or those of the places that are live.
    pub fn ahead<'a>(&self, values: &'a [f32], live: Option<&'a [bool]>) -> Ahead<'a> {
        let channels = self.field.channels();
        Ahead { values, channels, live }
    }

    /// Asks for the winning cells of one row, those of the pooling windows that are marked.
    pub fn ask_for(&self, winners: &[u8], marked: &[bool]) {
        let work = AskFor {
            winners,
            filters: self.filters,
            marked,
        };
        run(self.isa, work);
    }
}

impl Ahead<'_> {
    /// How many places there are.
    pub fn places(&self) -> usize {
        self.values.len() / self.channels
    }

    /// Asks for some places.
    #[inline(always)]
    pub fn prefetch<S: Simd>(&self, s: S, places: Range<usize>) {
        let Self { values, channels, live } = *self;
        let Some(live) = live else {
            return s.prefetch_all(&values[places.start * channels..places.end * channels]);
        };
        for place in places {
            if live[place] {
                s.prefetch_all(&values[place * channels..][..channels]);
            }
        }
    }
}

/// [`Sparse::ask_for`].
struct AskFor<'a> {
    winners: &'a [u8],
    filters: usize,
    marked: &'a [bool],
}

impl Work for AskFor<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (winners, marked) in self.winners.chunks_exact(self.filters).zip(self.marked) {
            if *marked {
                for line in winners.chunks(LINE) {
                    s.prefetch(line.as_ptr().cast());
                }
            }
        }
    }
}
