//! The right side of a product: packed into panels once where it is multiplied with often, else read where it lies.

use super::tile::{QUAD, TILE};
use crate::nn::kernels::simd::Isa;
use crate::nn::threads::Aligned;

/// The columns of a matrix, cut into panels of up to as many vectors as a tile has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Panels {
    /// Columns of the panels together: whole vectors.
    pub(super) columns: usize,
    pub(super) lanes: usize,
    /// How many panels.
    pub(super) count: usize,
}

impl Panels {
    fn new(isa: Isa, columns: usize) -> Self {
        let (panel, lanes) = (isa.accumulators() / TILE, isa.lanes());
        let vectors = columns.div_ceil(lanes);
        Self {
            columns: vectors * lanes,
            lanes,
            count: vectors.div_ceil(panel),
        }
    }

    /// First column and width of a panel: vectors are dealt out evenly, so that no panel is too narrow to be fast.
    fn get(self, index: usize) -> (usize, usize) {
        let vectors = self.columns / self.lanes;
        let (start, end) = (vectors * index / self.count, vectors * (index + 1) / self.count);
        (start * self.lanes, (end - start) * self.lanes)
    }
}

/// Vectors side by side of every row of a right side.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// Its first column.
    pub(super) first: usize,
    /// How many vectors a row has.
    pub(super) vectors: usize,
    pub(super) values: &'a [f32],
    /// From row to row.
    pub(super) stride: usize,
}

/// A matrix `[k, n]`, cut into panels of whole vectors and padded with zeros; where the last columns would leave most of a vector
/// empty, they lie in [`Right::quads`] behind the panels.
#[derive(Debug, Default)]
pub(super) struct Packed {
    k: usize,
    panels: Panels,
    /// Columns behind the panels, in quads of rows.
    few: usize,
    values: Aligned,
}

impl Packed {
    /// Packs `k` rows of `n` numbers for `isa`, to be multiplied with rows; row `i` begins at `from[i * stride]`.
    pub(super) fn new(isa: Isa, from: &[f32], stride: usize, k: usize, n: usize) -> Self {
        let left = n % isa.lanes();
        let few = if QUAD * left <= isa.lanes() && k.is_multiple_of(QUAD) {
            left
        } else {
            0
        };
        let mut packed = Self::default();
        packed.fill(isa, from, stride, k, n, few);
        packed
    }

    /// Packs the transpose of `n` rows of `k` numbers.
    pub(super) fn transposed(isa: Isa, from: &[f32], stride: usize, k: usize, n: usize) -> Self {
        let mut rows = vec![0.0; k * n];
        for (column, row) in from.chunks(stride).take(n).enumerate() {
            for (i, &value) in row[..k].iter().enumerate() {
                rows[i * n + column] = value;
            }
        }
        Self::new(isa, &rows, n, k, n)
    }

    /// Packs into the memory that is there already, the last `few` columns in quads of rows.
    fn fill(&mut self, isa: Isa, from: &[f32], stride: usize, k: usize, n: usize, few: usize) {
        let n = n - few;
        let panels = Panels::new(isa, n);
        (self.k, self.panels, self.few) = (k, panels, few);
        let in_quads = if few > 0 { k / QUAD * isa.lanes() } else { 0 };
        if self.values.len() < k * panels.columns + in_quads {
            self.values = Aligned::zeroed(k * panels.columns + in_quads);
        }
        let quads = &mut self.values[k * panels.columns..][..in_quads];
        for (quad, vector) in quads.chunks_exact_mut(isa.lanes()).enumerate() {
            vector.fill(0.0);
            for (lane, value) in vector[..QUAD * few].iter_mut().enumerate() {
                *value = from[(quad * QUAD + lane % QUAD) * stride + n + lane / QUAD];
            }
        }
        for index in 0..panels.count {
            let (start, width) = panels.get(index);
            let real = width.min(n - start);
            let panel = &mut self.values[start * k..(start + width) * k];
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                let begin = i * stride + start;
                row[..real].copy_from_slice(&from[begin..begin + real]);
                row[real..].fill(0.0);
            }
        }
    }

    /// As the right side of a product.
    pub(super) fn right(&self) -> Right<'_> {
        Right {
            values: &self.values,
            k: self.k,
            panels: self.panels,
            few: self.few,
            stride: None,
        }
    }
}

/// The right side of a product, rows of whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    values: &'a [f32],
    /// Rows.
    pub(super) k: usize,
    pub(super) panels: Panels,
    /// Columns behind the panels, in [`Right::quads`].
    pub(super) few: usize,
    /// From row to row, where they were not packed.
    stride: Option<usize>,
}

impl<'a> Right<'a> {
    /// `k` rows of `n` numbers, `stride` apart, for one product: read where they lie if they are whole vectors, else packed into `room`.
    pub(super) fn of_rows(
        isa: Isa,
        values: &'a [f32],
        stride: usize,
        k: usize,
        n: usize,
        room: &'a mut Packed,
    ) -> Self {
        if n.is_multiple_of(isa.lanes()) {
            return Self {
                values,
                k,
                panels: Panels::new(isa, n),
                few: 0,
                stride: Some(stride),
            };
        }
        room.fill(isa, values, stride, k, n, 0);
        room.right()
    }

    /// Vectors of the columns behind the panels: lane `4 c + i` of vector `q` is column `c` of row `4 q + i`.
    pub(super) fn quads(&self) -> &'a [f32] {
        if self.few == 0 {
            return &[];
        }
        &self.values[self.k * self.panels.columns..][..self.k / QUAD * self.panels.lanes]
    }

    /// The panel at `index`.
    pub(super) fn panel(&self, index: usize) -> Panel<'a> {
        let (first, width) = self.panels.get(index);
        let (values, stride) = match self.stride {
            None => (&self.values[first * self.k..(first + width) * self.k], width),
            Some(stride) => {
                let last = self.k.checked_sub(1).map(|row| row * stride);
                let rows = last.map_or(0..0, |last| first..last + first + width);
                (&self.values[rows], stride)
            }
        };
        Panel {
            first,
            vectors: width / self.panels.lanes,
            values,
            stride,
        }
    }
}
