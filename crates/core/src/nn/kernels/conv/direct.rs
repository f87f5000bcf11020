//! Convolution straight from the input: a product with the matrix of patches that is never made.
//!
//! The product runs in register tiles of `windows x vectors of filters`. Its inner loop needs, for each value of a patch, that value of
//! every window in the tile, and the kernel's row of filters; the first are read from the input where they are (see [`Field`]), the
//! second is the kernel's own layout. So nothing is copied but the kernel, once a batch, into blocks as wide as a tile.

use std::ops::Range;

use super::ConvGeometry;
use super::field::Field;
use super::tile::{Block, blocks, product, store};
use crate::nn::kernels::max_pool::winner_behind_relu;
use crate::nn::kernels::simd::{Isa, MOST_LANES, Simd, Work, run};
use crate::nn::threads::{Aligned, Unset, with_list, with_scratch};

/// Windows that are worth a loop over blocks of filters; smaller rows of a batch are taken together.
const WINDOWS_AT_ONCE: usize = 48;

/// A kernel (and bias) in blocks as wide as the register tiles, and where its windows lie: made once for a batch.
pub struct Prepared {
    isa: Isa,
    field: Field,
    filters: usize,
    blocks: Vec<Block>,
    /// `[patch, width]` for each block, filled up with zeros.
    kernel: Aligned,
    /// The bias of all blocks.
    bias: Aligned,
    skips_zeros: bool,
}

impl Prepared {
    /// Prepares a kernel `[patch, filters]` and bias for a batch, for the instruction set of the calling thread.
    pub fn new(geometry: &ConvGeometry, kernel: &[f32], bias: Option<&[f32]>) -> Self {
        /// Pictures have a few channels and empty surroundings; deeper in a network a patch is hardly ever wholly zero.
        const PICTURE: (usize, usize) = (4, 64);
        let isa = Isa::current();
        let (patch_len, filters) = (geometry.patch_len(), geometry.filters);
        let blocks = blocks(isa, filters, patch_len);
        let padded = blocks.iter().map(|block| block.vectors * isa.lanes()).sum::<usize>();
        let mut packed = Aligned::zeroed(padded * patch_len);
        let mut packed_bias = Aligned::zeroed(padded);
        for block in &blocks {
            let width = block.vectors * isa.lanes();
            let real = width.min(filters - block.first);
            let rows = packed[block.kernel_at..].chunks_exact_mut(width);
            for (to, from) in rows.zip(kernel.chunks_exact(filters)) {
                to[..real].copy_from_slice(&from[block.first..][..real]);
            }
            if let Some(bias) = bias {
                packed_bias[block.bias_at..][..real].copy_from_slice(&bias[block.first..][..real]);
            }
        }
        let field = Field::new(geometry);
        let skips_zeros = geometry.channels <= PICTURE.0 && patch_len <= PICTURE.1 && filters >= isa.lanes();
        Self {
            isa,
            field,
            filters,
            blocks,
            kernel: packed,
            bias: packed_bias,
            skips_zeros,
        }
    }

    /// Writes `y = patches(x) kernel + bias` for the rows in `x`.
    pub fn forward(&self, x: &[f32], y: Unset<f32>) {
        let windows = self.field.offsets.len();
        let (output_len, rows) = (windows * self.filters, y.len() / (windows * self.filters));
        let input_len = x.len() / rows;
        let at_once = WINDOWS_AT_ONCE.div_ceil(windows).min(rows);
        for (x, y) in x.chunks(at_once * input_len).zip(y.chunks(at_once * output_len)) {
            self.with_fields(x, y.len() / output_len, |laid| {
                self.windows(&laid, 0..laid.offsets.len(), y);
            });
        }
    }

    /// Pads rows if they need it, and calls `work` with the windows of all of them, and with which are live.
    pub fn with_fields(&self, x: &[f32], rows: usize, work: impl FnOnce(Laid)) {
        let field = &self.field;
        let with_offsets = |fields: &[f32]| {
            let with_live = |live: &[bool]| {
                if rows == 1 {
                    let offsets = &field.offsets;
                    return work(Laid { fields, offsets, live });
                }
                with_list(|offsets| {
                    let starts = (0..rows).map(|row| row * field.len());
                    offsets.extend(starts.flat_map(|start| field.offsets.iter().map(move |at| start + at)));
                    work(Laid { fields, offsets, live });
                });
            };
            if self.skips_zeros {
                field.with_live(self.isa, fields, &[0], with_live);
            } else {
                with_live(&[]);
            }
        };
        if field.is_input() {
            return with_offsets(x);
        }
        with_scratch(rows * field.len(), |fields| {
            field.fill(x, fields);
            with_offsets(fields);
        });
    }

    /// Writes the outputs `[windows, filters]` of some of the windows that are laid out.
    pub fn windows(&self, laid: &Laid, windows: Range<usize>, y: Unset<f32>) {
        let Laid { fields, live, .. } = *laid;
        let offsets = &laid.offsets[windows];
        assert_eq!(y.len(), offsets.len() * self.filters);
        let reach = self.field.runs.last().map_or(0, |run| run.offset + run.len);
        assert!(
            offsets.iter().all(|offset| offset + reach <= fields.len()),
            "windows lie in their field"
        );
        run(
            self.isa,
            Forward {
                prepared: self,
                fields,
                offsets,
                live,
                y,
            },
        );
    }

    /// Where the patches of the convolution's windows lie that each pooling window takes, of four cells each; none if they do not lie
    /// alike in all.
    pub fn quads(&self, windows: &[[usize; 4]]) -> Option<Quads> {
        let offsets = &self.field.offsets;
        let [first, ..] = *windows.first()?;
        let cells = windows[0].map(|window| offsets[window] - offsets[first]);
        let places = windows.iter().map(|quad| {
            let alike = quad
                .iter()
                .zip(cells)
                .all(|(window, cell)| offsets[*window] == offsets[quad[0]] + cell);
            alike.then(|| offsets[quad[0]])
        });
        Some(Quads {
            places: places.collect::<Option<_>>()?,
            cells,
            by_runs: self.skips_zeros && self.field.has_bits(pairs(cells)),
        })
    }

    /// Writes the outputs of one row `x` behind relu and max-pooling, `[pooling windows, filters]`, and the winning cells if they are asked
    /// for: of pooling windows with four cells each, as [`Self::quads`] of this convolution lists them. What is pooled never leaves the
    /// registers.
    pub fn pooled(&self, x: &[f32], quads: &Quads, y: Unset<f32>, winners: Option<Unset<u8>>) {
        assert_eq!(y.len(), quads.places.len() * self.filters);
        assert!(winners.as_ref().is_none_or(|winners| winners.len() == y.len()));
        let reach = self.field.runs.last().map_or(0, |run| run.offset + run.len);
        let farthest = |of: &[usize]| of.iter().copied().max().unwrap_or(0);
        let last = farthest(&quads.places) + farthest(&quads.cells);
        let with_field = |field: &[f32]| {
            assert!(last + reach <= field.len(), "windows lie in their field");
            let with_filled = |filled: Option<&[u16]>| {
                let prepared = self;
                run(
                    self.isa,
                    Pooled {
                        prepared,
                        field,
                        filled,
                        quads,
                        y,
                        winners,
                    },
                );
            };
            if quads.by_runs {
                self.field
                    .with_filled_runs(self.isa, field, pairs(quads.cells), |filled| with_filled(Some(filled)));
            } else {
                with_filled(None);
            }
        };
        if self.field.is_input() {
            return with_field(x);
        }
        with_scratch(self.field.len(), |field| {
            self.field.fill(x, field);
            with_field(field);
        });
    }
}

/// The patches of a window's upper and of its lower cells.
fn pairs([a, b, c, d]: [usize; 4]) -> [[usize; 2]; 2] {
    [[a, b], [c, d]]
}

/// Where in a field the four patches lie that each pooling window takes.
pub struct Quads {
    /// The first patch of each window.
    places: Vec<usize>,
    /// From there to each of the four.
    cells: [usize; 4],
    /// Whether runs of patches are left out that hold nothing but zeros.
    by_runs: bool,
}

/// Windows over padded rows.
pub struct Laid<'a> {
    fields: &'a [f32],
    offsets: &'a [usize],
    /// For each value, whether a patch from there on holds anything but zeros; empty if that is not looked at.
    live: &'a [bool],
}

/// [`Prepared::windows`], its checks done.
struct Forward<'a> {
    prepared: &'a Prepared,
    fields: &'a [f32],
    offsets: &'a [usize],
    live: &'a [bool],
    y: Unset<'a, f32>,
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for block in &self.prepared.blocks {
            match (block.vectors, S::ACCUMULATORS >= 24) {
                (4, _) => self.block::<S, 6, 3, 4>(s, *block),
                (2, true) => self.block::<S, 12, 6, 2>(s, *block),
                (2, false) => self.block::<S, 6, 3, 2>(s, *block),
                _ => self.block::<S, 12, 6, 1>(s, *block),
            }
        }
    }
}

impl Forward<'_> {
    /// One block of filters of all windows, `P` windows by `V` vectors at a time, or `HALF` for the last few.
    #[inline(always)]
    fn block<S: Simd, const P: usize, const HALF: usize, const V: usize>(&mut self, s: S, block: Block) {
        let mut window = 0;
        while window < self.offsets.len() {
            if self.offsets.len() - window > HALF {
                self.tile::<S, P, V>(s, block, window);
                window += P;
            } else {
                self.tile::<S, HALF, V>(s, block, window);
                window += HALF;
            }
        }
    }

    /// Up to `P` windows from `window` on.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(&mut self, s: S, block: Block, window: usize) {
        let Prepared {
            field,
            filters,
            kernel,
            bias,
            ..
        } = self.prepared;
        let offsets = &self.offsets[window..];
        let fields = self.fields.as_ptr();
        // SAFETY: `windows` has checked that every window lies in `fields` and that `y` has `filters` values for each; `kernel` and
        // `bias` hold `V` whole vectors for each value of the patch from the block's place on, as `Prepared::new` made them.
        unsafe {
            let mut from = [fields; P];
            for (p, from) in from.iter_mut().enumerate() {
                // The last tile repeats its last window, which is not stored again.
                *from = fields.add(offsets[p.min(offsets.len() - 1)]);
            }
            let mut sums = [[s.splat(0.0); V]; P];
            for v in 0..V {
                let bias = s.load(bias.as_ptr().add(block.bias_at + v * S::LANES));
                for sums in &mut sums {
                    sums[v] = bias;
                }
            }
            let tile = &offsets[..offsets.len().min(P)];
            if self.live.is_empty() || tile.iter().any(|offset| self.live[*offset]) {
                product(s, &from, &field.runs, kernel.as_ptr().add(block.kernel_at), &mut sums);
            }
            for (p, sums) in sums.iter().enumerate().take(offsets.len()) {
                let y = self.y.as_mut_ptr().add((window + p) * filters + block.first);
                store(s, y, filters - block.first, sums);
            }
        }
    }
}

/// [`Prepared::pooled`], its checks done.
struct Pooled<'a> {
    prepared: &'a Prepared,
    field: &'a [f32],
    /// Which runs of the four patches from each value of the field on hold anything but zeros, if that is looked at: bits as
    /// [`Field::with_filled_runs`] has them.
    filled: Option<&'a [u16]>,
    quads: &'a Quads,
    y: Unset<'a, f32>,
    winners: Option<Unset<'a, u8>>,
}

impl Work for Pooled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for block in &self.prepared.blocks {
            match (block.vectors, self.winners.is_some()) {
                (4, true) => self.block::<S, 4, true>(s, *block),
                (4, false) => self.block::<S, 4, false>(s, *block),
                (2, true) => self.block::<S, 2, true>(s, *block),
                (2, false) => self.block::<S, 2, false>(s, *block),
                (_, true) => self.block::<S, 1, true>(s, *block),
                (_, false) => self.block::<S, 1, false>(s, *block),
            }
        }
    }
}

impl Pooled<'_> {
    /// One block of filters of all pooling windows.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const WINNERS: bool>(&mut self, s: S, block: Block) {
        let Prepared {
            field,
            filters,
            kernel,
            bias,
            ..
        } = self.prepared;
        let bits = field.bits();
        let all = u16::MAX >> (u16::BITS as usize - 2 * bits);
        let nothing = (s.splat(0.0), s.splat(0.0));
        // What windows over nothing but zeros come to.
        let mut empty = [nothing; V];
        for (v, empty) in empty.iter_mut().enumerate() {
            // SAFETY: `bias` holds `V` whole vectors from the block's place on.
            let bias = unsafe { s.load(bias.as_ptr().add(block.bias_at + v * S::LANES)) };
            *empty = pooled::<S, WINNERS>(s, [bias; 4]);
        }
        // Rows are written one behind the other: the next one's memory is asked for meanwhile.
        let row_len = self.y.len();
        for (window, place) in self.quads.places.iter().enumerate() {
            let mut chosen = empty;
            // SAFETY: `pooled` has checked that every window lies in `fields` and that `y` and `winners` have `filters` values for each
            // pooling window; `kernel` and `bias` hold `V` whole vectors for each value of the patch from the block's place on.
            unsafe {
                let filled = self.filled.map_or(all, |filled| filled[*place]);
                if filled != 0 {
                    let mut of_bias = [s.splat(0.0); V];
                    for (v, of_bias) in of_bias.iter_mut().enumerate() {
                        *of_bias = s.load(bias.as_ptr().add(block.bias_at + v * S::LANES));
                    }
                    let mut sums = [of_bias; 4];
                    let from = self.quads.cells.map(|cell| self.field.as_ptr().add(place + cell));
                    let kernel = kernel.as_ptr().add(block.kernel_at);
                    if filled == all {
                        product(s, &from, &field.runs, kernel, &mut sums);
                    } else {
                        let [a, b, c, d] = from;
                        let [of_a, of_b] = self.filled_runs(s, [a, b], filled, kernel, of_bias);
                        let [of_c, of_d] = self.filled_runs(s, [c, d], filled >> bits, kernel, of_bias);
                        sums = [of_a, of_b, of_c, of_d];
                    }
                    let [a, b, c, d] = &sums;
                    for v in 0..V {
                        chosen[v] = pooled::<S, WINNERS>(s, [a[v], b[v], c[v], d[v]]);
                    }
                }
                let at = window * filters + block.first;
                let to = self.y.as_mut_ptr().add(at);
                for v in 0..V {
                    s.prefetch(to.wrapping_add(row_len + v * S::LANES));
                }
                if filters - block.first >= V * S::LANES {
                    for (v, (best, _)) in chosen.iter().enumerate() {
                        s.store(to.add(v * S::LANES), *best);
                    }
                    if let Some(winners) = &mut self.winners
                        && WINNERS
                    {
                        let to = winners.as_mut_ptr().add(at);
                        for (v, (_, winner)) in chosen.iter().enumerate() {
                            s.store_bytes(to.add(v * S::LANES), *winner);
                        }
                    }
                } else {
                    self.store_first(s, at, filters - block.first, &chosen);
                }
            }
        }
    }

    /// The sums of two patches over the runs that `filled` has a bit for, beside the bias.
    ///
    /// # Safety
    /// As for [`product`].
    #[inline(always)]
    unsafe fn filled_runs<S: Simd, const V: usize>(
        &self,
        s: S,
        from: [*const f32; 2],
        filled: u16,
        kernel: *const f32,
        bias: [S::Vector; V],
    ) -> [[S::Vector; V]; 2] {
        let mut sums = [bias; 2];
        let mut first = 0;
        let field = &self.prepared.field;
        for (number, run) in field.runs.iter().enumerate() {
            if filled >> field.bit(number) & 1 == 1 {
                // SAFETY: as the caller vouches; the run's kernel begins behind those of the runs before it.
                unsafe {
                    let kernel = kernel.add(first * V * S::LANES);
                    product(s, &from, std::slice::from_ref(run), kernel, &mut sums);
                }
            }
            first += run.len;
        }
        sums
    }

    /// Writes the first `left` values of some vectors, and winners if they are asked for.
    ///
    /// # Safety
    /// `y` and `winners` have that many from `at` on.
    #[inline(always)]
    unsafe fn store_first<S: Simd, const V: usize>(
        &mut self,
        s: S,
        at: usize,
        left: usize,
        chosen: &[(S::Vector, S::Vector); V],
    ) {
        // SAFETY: as the caller vouches.
        unsafe { store(s, self.y.as_mut_ptr().add(at), left, &chosen.map(|(best, _)| best)) };
        if let Some(winners) = &mut self.winners {
            let mut bytes = [0; 4 * MOST_LANES];
            for (bytes, (_, winner)) in bytes.chunks_exact_mut(S::LANES).zip(chosen) {
                // SAFETY: each chunk has a vector's length.
                unsafe { s.store_bytes(bytes.as_mut_ptr(), *winner) };
            }
            winners.part(at..at + left).write(bytes[..left].iter().copied());
        }
    }
}

/// The largest of a window's values behind relu, and its cell if that is asked for.
#[inline(always)]
fn pooled<S: Simd, const WINNERS: bool>(s: S, cells: [S::Vector; 4]) -> (S::Vector, S::Vector) {
    if WINNERS {
        return winner_behind_relu(s, cells);
    }
    let zero = s.splat(0.0);
    let mut best = zero;
    for cell in cells {
        best = s.max(best, cell);
    }
    (best, zero)
}
