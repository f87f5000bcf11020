//! The rows of one step, as the families see them.

/// The input's projections for the rows of a step.
#[derive(Clone, Copy)]
pub(super) struct Projected<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    /// Which row of `values` belongs to each row of the step; one after another when absent.
    pub(super) index: Option<&'a [u32]>,
}

impl<'a> Projected<'a> {
    #[inline(always)]
    pub(super) fn row(&self, r: usize, columns: usize) -> &'a [f32] {
        let at = self.index.map_or(r, |index| index[r] as usize) * self.stride;
        &self.values[at..at + columns]
    }
}

/// A step forward: `n` rows.
pub(super) struct Forward<'a> {
    pub(super) n: usize,
    pub(super) units: usize,
    /// Gates times units.
    pub(super) columns: usize,
    /// What the input adds to each gate.
    pub(super) x: Projected<'a>,
    /// What the state adds to each gate, rows `z_stride` apart.
    pub(super) z: &'a mut [f32],
    pub(super) z_stride: usize,
    /// What is kept of each row, `kept_width` numbers; to be written.
    pub(super) kept: &'a mut [f32],
    pub(super) kept_width: usize,
    /// `[n, units]`, from the state before to the state behind.
    pub(super) h: &'a mut [f32],
    /// The carry likewise; empty when the family has none.
    pub(super) c: &'a mut [f32],
}

/// The carry of row `r`; empty when there is none.
#[inline(always)]
fn carry(c: &mut [f32], r: usize, units: usize) -> &mut [f32] {
    if c.is_empty() {
        c
    } else {
        &mut c[r * units..(r + 1) * units]
    }
}

impl Forward<'_> {
    /// Both projections, what is kept, state and carry of row `r`.
    #[inline(always)]
    pub(super) fn sums(&mut self, r: usize) -> ([&[f32]; 2], [&mut [f32]; 3]) {
        let u = self.units;
        let z = &self.z[r * self.z_stride..r * self.z_stride + self.columns];
        let kept = &mut self.kept[r * self.kept_width..(r + 1) * self.kept_width];
        let h = &mut self.h[r * u..(r + 1) * u];
        ([self.x.row(r, self.columns), z], [kept, h, carry(self.c, r, u)])
    }

    /// What is kept, holding the gates' sums, with state and carry of row `r`.
    pub(super) fn row(&mut self, r: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let ([x, z], [kept, h, c]) = self.sums(r);
        for ((kept, x), z) in kept.iter_mut().zip(x).zip(z) {
            *kept = x + z;
        }
        (kept, h, c)
    }
}

/// A step back: `n` rows.
pub(super) struct Backward<'a> {
    pub(super) n: usize,
    pub(super) units: usize,
    /// What was kept; becomes the gradient of the gates' sums.
    pub(super) kept: &'a mut [f32],
    pub(super) kept_width: usize,
    /// `[n, units]`: LSTM's carry before the step, the other families' state.
    pub(super) before: &'a [f32],
    /// The gradient of the state behind the step, rows `dh_stride` apart.
    pub(super) dh: &'a mut [f32],
    pub(super) dh_stride: usize,
    /// `[n, units]`, from the gradient of the carry behind the step to that before; empty when the family has none.
    pub(super) dc: &'a mut [f32],
}

impl Backward<'_> {
    /// What was kept, the state before, the state's gradient and the carry's, of row `r`.
    #[inline(always)]
    pub(super) fn row(&mut self, r: usize) -> (&mut [f32], &[f32], &mut [f32], &mut [f32]) {
        let u = self.units;
        (
            &mut self.kept[r * self.kept_width..(r + 1) * self.kept_width],
            &self.before[r * u..(r + 1) * u],
            &mut self.dh[r * self.dh_stride..r * self.dh_stride + u],
            carry(self.dc, r, u),
        )
    }
}
