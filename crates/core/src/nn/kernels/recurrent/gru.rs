//! GRU, one step of some rows.
//!
//! With the input's projection `x`, the state's product `s = h U + b_s`, sigma the recurrent and phi the other activation:
//!
//! ```text
//! z = sigma(x_z + s_z)    r = sigma(x_r + s_r)
//! reset after:   q = s_h          a = phi(x_h + r q)
//! reset before:  p = r h          a = phi(x_h + p U_h)
//! h' = z h + (1 - z) a
//! ```
//!
//! Kept are `z r a` and `q` or `p`. Back, from `dh'`, with each activation's slope taken along:
//!
//! ```text
//! dz = dh' (h - a)        da = dh' (1 - z)
//! reset after:   dq = da r    dr = da q    dh = dh' z + (dz dr) U_zr^T + dq U_h^T
//! reset before:  dp = da U_h^T    dr = dp h    dh = dh' z + dp r + (dz dr) U_zr^T
//! ```
//!
//! `dz dr da` take the places of `z r a`. `dq` takes that of `q`, while `p` stays: it is the left side of `dU_h = p^T da`.

use super::activation::{apply, backward, sigmoid, tanh};
use super::lanes::Lanes;
use super::projection::{Batch, Projection};
use super::step::{Backward, Forward};
use crate::keras::activation::Activation;
use crate::nn::kernels::simd::{Isa, Simd, Work, run};

/// A GRU's activations, and `U_h` when the reset gate comes before it.
pub(super) struct Gru<'a> {
    pub(super) activation: Activation,
    pub(super) recurrent_activation: Activation,
    pub(super) candidate: Option<&'a Projection<'a>>,
}

impl Gru<'_> {
    fn is_usual(&self) -> bool {
        self.activation == Activation::Tanh && self.recurrent_activation == Activation::Sigmoid
    }

    /// With the reset gate before: `s_h = p U_h`.
    fn multiply_reset(&self, step: &mut Forward<'_>, rows: &[usize], scratch: &mut Vec<f32>) {
        if let Some(candidate) = self.candidate {
            let p = Batch::new(&step.kept[3 * step.units..], step.kept_width, rows);
            candidate.forward(p, step.z, scratch);
        }
    }

    /// From both projections to the state; `rows` are the step's rows in the batch.
    pub(super) fn forward(&self, isa: Isa, step: &mut Forward<'_>, rows: &[usize], scratch: &mut Vec<f32>) {
        if self.is_usual() {
            let reset_after = self.candidate.is_none();
            run(
                isa,
                Usual {
                    step,
                    part: Part::Gates,
                    reset_after,
                },
            );
            self.multiply_reset(step, rows, scratch);
            run(
                isa,
                Usual {
                    step,
                    part: Part::Candidate,
                    reset_after,
                },
            );
            return;
        }
        let u = step.units;
        for r in 0..step.n {
            let ([x, s], [kept, h, _]) = step.sums(r);
            let (gates, rest) = kept.split_at_mut(2 * u);
            for ((gate, x), s) in gates.iter_mut().zip(x).zip(s) {
                *gate = x + s;
            }
            for gate in gates.chunks_exact_mut(u) {
                apply(self.recurrent_activation, isa, gate);
            }
            let (r, last) = (&gates[u..], &mut rest[u..]);
            if self.candidate.is_some() {
                for ((p, r), h) in last.iter_mut().zip(r).zip(&*h) {
                    *p = r * h;
                }
            } else {
                last.copy_from_slice(&s[2 * u..]);
            }
        }
        self.multiply_reset(step, rows, scratch);
        for r in 0..step.n {
            let ([x, s], [kept, h, _]) = step.sums(r);
            let (gates, rest) = kept.split_at_mut(2 * u);
            let (a, last) = rest.split_at_mut(u);
            let (x, s) = (&x[2 * u..], &s[2 * u..]);
            for j in 0..u {
                a[j] = x[j]
                    + if self.candidate.is_some() {
                        s[j]
                    } else {
                        gates[u + j] * last[j]
                    };
            }
            apply(self.activation, isa, a);
            for j in 0..u {
                h[j] = gates[j] * h[j] + (1.0 - gates[j]) * a[j];
            }
        }
    }

    /// From the state's gradient to those of the gates' sums, leaving `dh' z` (with `reset before`, and `dp r`).
    pub(super) fn backward(
        &self,
        isa: Isa,
        step: &mut Backward<'_>,
        rows: &[usize],
        reset: &mut Vec<f32>,
        scratch: &mut Vec<f32>,
    ) {
        if self.is_usual() {
            run(
                isa,
                UsualBackward {
                    step,
                    reset_after: self.candidate.is_none(),
                },
            );
        } else {
            self.backward_rows(step);
        }
        let Some(candidate) = self.candidate else { return };
        let u = step.units;
        reset.resize(step.n * step.dh_stride, 0.0);
        let da = Batch::new(&*step.kept, step.kept_width, rows);
        candidate.input_gradient(da, false, reset, scratch);
        let mut dr = vec![0.0; u];
        for row in 0..step.n {
            let dp = &reset[row * step.dh_stride..];
            let (kept, before, dh, _) = step.row(row);
            let r = &mut kept[u..2 * u];
            for j in 0..u {
                dr[j] = dp[j] * before[j];
                dh[j] += dp[j] * r[j];
            }
            backward(self.recurrent_activation, r, &mut dr);
            r.copy_from_slice(&dr);
        }
    }

    /// What comes before the products back, with any activations.
    fn backward_rows(&self, step: &mut Backward<'_>) {
        let u = step.units;
        for row in 0..step.n {
            let (kept, before, dh, _) = step.row(row);
            let (gates, rest) = kept.split_at_mut(2 * u);
            let (z, r) = gates.split_at_mut(u);
            let (a, q) = rest.split_at_mut(u);
            let mut dz: Vec<f32> = (0..u).map(|j| dh[j] * (before[j] - a[j])).collect();
            let mut da: Vec<f32> = (0..u).map(|j| dh[j] * (1.0 - z[j])).collect();
            backward(self.recurrent_activation, z, &mut dz);
            backward(self.activation, a, &mut da);
            for j in 0..u {
                dh[j] *= z[j];
            }
            z.copy_from_slice(&dz);
            a.copy_from_slice(&da);
            if self.candidate.is_none() {
                let mut dr: Vec<f32> = (0..u).map(|j| da[j] * q[j]).collect();
                backward(self.recurrent_activation, r, &mut dr);
                for j in 0..u {
                    q[j] = da[j] * r[j];
                }
                r.copy_from_slice(&dr);
            }
        }
    }
}

/// tanh and sigmoid, forward, up to the candidate's product with the state and from there.
struct Usual<'a, 'b> {
    step: &'a mut Forward<'b>,
    part: Part,
    reset_after: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Gates,
    Candidate,
}

impl Work for Usual<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            step,
            part,
            reset_after,
        } = self;
        let u = step.units;
        let whole = u / S::LANES * S::LANES;
        for r in 0..step.n {
            let ([x, sums], [kept, h, _]) = step.sums(r);
            let mut row = UsualRow {
                x: gates(x, u),
                s: gates(sums, u),
                kept: gates_mut(kept, u),
                h,
                reset_after,
            };
            for at in (0..whole).step_by(S::LANES) {
                row.at::<S, false>(s, part, at);
            }
            if whole < u {
                row.at::<S, true>(s, part, whole);
            }
        }
    }
}

fn gates(row: &[f32], u: usize) -> [&[f32]; 3] {
    std::array::from_fn(|gate| &row[gate * u..(gate + 1) * u])
}

fn gates_mut(row: &mut [f32], u: usize) -> [&mut [f32]; 4] {
    let (z, rest) = row.split_at_mut(u);
    let (r, rest) = rest.split_at_mut(u);
    let (a, last) = rest.split_at_mut(u);
    [z, r, a, last]
}

struct UsualRow<'a> {
    x: [&'a [f32]; 3],
    s: [&'a [f32]; 3],
    /// z, r, a, and q or p.
    kept: [&'a mut [f32]; 4],
    h: &'a mut [f32],
    reset_after: bool,
}

impl UsualRow<'_> {
    #[inline(always)]
    fn at<S: Simd, const PART: bool>(&mut self, s: S, part: Part, at: usize) {
        let sum = |gate: usize| s.add(s.read::<PART>(self.x[gate], at), s.read::<PART>(self.s[gate], at));
        let h = s.read::<PART>(self.h, at);
        if part == Part::Gates {
            let (z, r) = (sigmoid(s, sum(0)), sigmoid(s, sum(1)));
            let last = if self.reset_after {
                s.read::<PART>(self.s[2], at)
            } else {
                s.mul(r, h)
            };
            s.write::<PART>(self.kept[0], at, z);
            s.write::<PART>(self.kept[1], at, r);
            s.write::<PART>(self.kept[3], at, last);
        } else {
            let kept = |slot: usize| s.read::<PART>(self.kept[slot], at);
            let z = kept(0);
            let inner = if self.reset_after {
                s.mul_add(kept(1), kept(3), s.read::<PART>(self.x[2], at))
            } else {
                sum(2)
            };
            let a = tanh(s, inner);
            s.write::<PART>(self.kept[2], at, a);
            s.write::<PART>(self.h, at, s.mul_add(z, s.sub(h, a), a));
        }
    }
}

/// tanh and sigmoid, back, up to the candidate's product.
struct UsualBackward<'a, 'b> {
    step: &'a mut Backward<'b>,
    reset_after: bool,
}

impl Work for UsualBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { step, reset_after } = self;
        let u = step.units;
        let whole = u / S::LANES * S::LANES;
        for r in 0..step.n {
            let (kept, before, dh, _) = step.row(r);
            let mut row = UsualBackwardRow {
                kept: gates_mut(kept, u),
                before,
                dh,
                reset_after,
            };
            for at in (0..whole).step_by(S::LANES) {
                row.at::<S, false>(s, at);
            }
            if whole < u {
                row.at::<S, true>(s, whole);
            }
        }
    }
}

struct UsualBackwardRow<'a> {
    kept: [&'a mut [f32]; 4],
    before: &'a [f32],
    dh: &'a mut [f32],
    reset_after: bool,
}

impl UsualBackwardRow<'_> {
    #[inline(always)]
    fn at<S: Simd, const PART: bool>(&mut self, s: S, at: usize) {
        let one = s.splat(1.0);
        let [z, r, a, q] = std::array::from_fn(|slot| s.read::<PART>(self.kept[slot], at));
        let (before, dh) = (s.read::<PART>(self.before, at), s.read::<PART>(self.dh, at));
        let slope = |y: S::Vector| s.mul(y, s.sub(one, y));
        let dz = s.mul(s.mul(dh, s.sub(before, a)), slope(z));
        let da = s.mul(s.mul(dh, s.sub(one, z)), s.sub(one, s.mul(a, a)));
        s.write::<PART>(self.kept[0], at, dz);
        s.write::<PART>(self.kept[2], at, da);
        if self.reset_after {
            s.write::<PART>(self.kept[1], at, s.mul(s.mul(da, q), slope(r)));
            s.write::<PART>(self.kept[3], at, s.mul(da, r));
        }
        s.write::<PART>(self.dh, at, s.mul(dh, z));
    }
}
