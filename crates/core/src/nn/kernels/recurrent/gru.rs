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

use super::activation::{apply, backward};
use super::projection::{Batch, Projection};
use super::step::{Backward, Forward};
use crate::keras::activation::Activation;
use crate::nn::kernels::simd::Isa;

/// A GRU's activations, and `U_h` when the reset gate comes before it.
pub(super) struct Gru<'a> {
    pub(super) activation: Activation,
    pub(super) recurrent_activation: Activation,
    pub(super) candidate: Option<&'a Projection<'a>>,
}

impl Gru<'_> {
    /// From both projections to the state; `rows` are the step's rows in the batch.
    pub(super) fn forward(&self, isa: Isa, step: &mut Forward<'_>, rows: &[usize], scratch: &mut Vec<f32>) {
        let u = step.units;
        for r in 0..step.n {
            let (x, s, kept, h, _) = step.sums(r);
            let (gates, rest) = kept.split_at_mut(2 * u);
            for ((gate, x), s) in gates.iter_mut().zip(x).zip(s) {
                *gate = x + s;
            }
            for gate in gates.chunks_exact_mut(u) {
                apply(self.recurrent_activation, isa, gate);
            }
            let (reset, last) = (&gates[u..], &mut rest[u..]);
            if self.candidate.is_some() {
                for ((p, r), h) in last.iter_mut().zip(reset).zip(&*h) {
                    *p = r * h;
                }
            } else {
                last.copy_from_slice(&s[2 * u..]);
            }
        }
        if let Some(candidate) = self.candidate {
            let p = Batch::new(&step.kept[3 * u..], step.kept_width, rows);
            candidate.forward(p, step.z, scratch);
        }
        for r in 0..step.n {
            let (x, s, kept, h, _) = step.sums(r);
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
        step: &mut Backward<'_>,
        rows: &[usize],
        reset: &mut Vec<f32>,
        scratch: &mut Vec<f32>,
    ) {
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
        let Some(candidate) = self.candidate else { return };
        reset.resize(step.n * step.dh_stride, 0.0);
        let da = Batch::new(&*step.kept, step.kept_width, rows);
        candidate.input_gradient(da, false, reset, scratch);
        for row in 0..step.n {
            let dp = &reset[row * step.dh_stride..];
            let (kept, before, dh, _) = step.row(row);
            let r = &mut kept[u..2 * u];
            let mut dr: Vec<f32> = (0..u).map(|j| dp[j] * before[j]).collect();
            backward(self.recurrent_activation, r, &mut dr);
            for j in 0..u {
                dh[j] += dp[j] * r[j];
            }
            r.copy_from_slice(&dr);
        }
    }
}
