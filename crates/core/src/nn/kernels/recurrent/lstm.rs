//! LSTM, one step of some rows.
//!
//! With `z = x W + h U + b` cut into four, sigma the recurrent and phi the other activation:
//!
//! ```text
//! i = sigma(z_i)   f = sigma(z_f)   g = phi(z_c)   o = sigma(z_o)
//! c' = f c + i g   h' = o phi(c')
//! ```
//!
//! Kept are `i f g o`, and the states before the step; `c'` and `phi(c')` are computed again. Back, from `dh'` and `dc'`:
//!
//! ```text
//! do = dh' phi(c')                    dc' += dh' o phi'(c')
//! di = dc' g    df = dc' c    dg = dc' i    dc = dc' f
//! dz = each times its activation's slope    dh = dz U^T
//! ```
//!
//! `dz` takes the place of what was kept. With tanh and sigmoid everything between the two products happens in registers.

use super::activation::{apply, backward, sigmoid, tanh};
use super::lanes::Lanes;
use super::step::{Backward, Forward};
use crate::keras::activation::Activation;
use crate::nn::kernels::simd::{Isa, Simd, Work, run};

/// The activations of an LSTM.
#[derive(Clone, Copy)]
pub(super) struct Lstm {
    pub(super) activation: Activation,
    pub(super) recurrent_activation: Activation,
}

impl Lstm {
    fn is_usual(self) -> bool {
        self.activation == Activation::Tanh && self.recurrent_activation == Activation::Sigmoid
    }

    /// From both projections to gates and states.
    pub(super) fn forward(self, isa: Isa, step: &mut Forward<'_>) {
        if self.is_usual() {
            run(isa, Usual(step));
            return;
        }
        let u = step.units;
        for r in 0..step.n {
            let (kept, h, c) = step.row(r);
            let [i, f, g, o] = quarters_mut(kept, u);
            for gate in [&mut *i, &mut *f, &mut *o] {
                apply(self.recurrent_activation, isa, gate);
            }
            apply(self.activation, isa, g);
            for j in 0..u {
                c[j] = f[j] * c[j] + i[j] * g[j];
            }
            h.copy_from_slice(c);
            apply(self.activation, isa, h);
            for j in 0..u {
                h[j] *= o[j];
            }
        }
    }

    /// From the gradients of the states to those of the gates' sums and of the carry before.
    pub(super) fn backward(self, isa: Isa, step: &mut Backward<'_>) {
        if self.is_usual() {
            run(isa, UsualBackward(step));
            return;
        }
        let u = step.units;
        let (mut output, mut through) = (vec![0.0; u], vec![0.0; u]);
        for r in 0..step.n {
            let (kept, before, dh, dc) = step.row(r);
            let [i, f, g, o] = quarters_mut(kept, u);
            for j in 0..u {
                output[j] = f[j] * before[j] + i[j] * g[j];
                through[j] = dh[j] * o[j];
            }
            apply(self.activation, isa, &mut output);
            backward(self.activation, &output, &mut through);
            // The slopes need the gates as they were; a softmax needs the whole of a gate.
            let slope = |activation: Activation, gate: &mut [f32], d: &dyn Fn(usize) -> f32| {
                let mut gradient: Vec<f32> = (0..u).map(d).collect();
                backward(activation, gate, &mut gradient);
                gate.copy_from_slice(&gradient);
            };
            for j in 0..u {
                dc[j] += through[j];
            }
            slope(self.recurrent_activation, o, &|j| dh[j] * output[j]);
            let (input, candidate) = (i.to_vec(), g.to_vec());
            slope(self.recurrent_activation, i, &|j| dc[j] * candidate[j]);
            slope(self.activation, g, &|j| dc[j] * input[j]);
            let forget = f.to_vec();
            slope(self.recurrent_activation, f, &|j| dc[j] * before[j]);
            for j in 0..u {
                dc[j] *= forget[j];
            }
        }
    }
}

fn quarters_mut(row: &mut [f32], u: usize) -> [&mut [f32]; 4] {
    let (a, rest) = row.split_at_mut(u);
    let (b, rest) = rest.split_at_mut(u);
    let (c, d) = rest.split_at_mut(u);
    [a, b, c, d]
}

fn quarters(row: &[f32], u: usize) -> [&[f32]; 4] {
    std::array::from_fn(|gate| &row[gate * u..(gate + 1) * u])
}

/// tanh and sigmoid, forward.
struct Usual<'a, 'b>(&'a mut Forward<'b>);

impl Work for Usual<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let step = self.0;
        let u = step.units;
        let whole = u / S::LANES * S::LANES;
        for r in 0..step.n {
            let ([x, z], [kept, h, c]) = step.sums(r);
            let mut row = UsualRow {
                x: quarters(x, u),
                z: quarters(z, u),
                kept: quarters_mut(kept, u),
                h,
                c,
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

struct UsualRow<'a> {
    x: [&'a [f32]; 4],
    z: [&'a [f32]; 4],
    kept: [&'a mut [f32]; 4],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl UsualRow<'_> {
    #[inline(always)]
    fn at<S: Simd, const PART: bool>(&mut self, s: S, at: usize) {
        let sum = |gate: usize| s.add(s.read::<PART>(self.x[gate], at), s.read::<PART>(self.z[gate], at));
        let (i, f, g, o) = (
            sigmoid(s, sum(0)),
            sigmoid(s, sum(1)),
            tanh(s, sum(2)),
            sigmoid(s, sum(3)),
        );
        let c = s.mul_add(f, s.read::<PART>(self.c, at), s.mul(i, g));
        let h = s.mul(o, tanh(s, c));
        for (kept, gate) in self.kept.iter_mut().zip([i, f, g, o]) {
            s.write::<PART>(kept, at, gate);
        }
        s.write::<PART>(self.c, at, c);
        s.write::<PART>(self.h, at, h);
    }
}

/// tanh and sigmoid, backward.
struct UsualBackward<'a, 'b>(&'a mut Backward<'b>);

impl Work for UsualBackward<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let step = self.0;
        let u = step.units;
        let whole = u / S::LANES * S::LANES;
        for r in 0..step.n {
            let (kept, before, dh, dc) = step.row(r);
            let mut row = UsualBackwardRow {
                kept: quarters_mut(kept, u),
                before,
                dh: &dh[..u],
                dc,
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
    dh: &'a [f32],
    dc: &'a mut [f32],
}

impl UsualBackwardRow<'_> {
    #[inline(always)]
    fn at<S: Simd, const PART: bool>(&mut self, s: S, at: usize) {
        let one = s.splat(1.0);
        let gate = |gate: usize| s.read::<PART>(self.kept[gate], at);
        let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
        let (before, dh) = (s.read::<PART>(self.before, at), s.read::<PART>(self.dh, at));
        let t = tanh(s, s.mul_add(f, before, s.mul(i, g)));
        let dc = s.mul_add(s.mul(dh, o), s.sub(one, s.mul(t, t)), s.read::<PART>(self.dc, at));
        let slope = |y: S::Vector| s.mul(y, s.sub(one, y));
        let d = [
            s.mul(s.mul(dc, g), slope(i)),
            s.mul(s.mul(dc, before), slope(f)),
            s.mul(s.mul(dc, i), s.sub(one, s.mul(g, g))),
            s.mul(s.mul(dh, t), slope(o)),
        ];
        for (kept, d) in self.kept.iter_mut().zip(d) {
            s.write::<PART>(kept, at, d);
        }
        s.write::<PART>(self.dc, at, s.mul(dc, f));
    }
}
