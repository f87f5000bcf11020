//! The gradient of a large kernel by tiles, cut by filters instead of rows: groups of rows would each visit sums of up to seven times the
//! kernel's values, those of some filters stay near.

use super::{FEWEST_TILES, WinogradGradient, has_many_sums, suits, tiles_of_gradient};
use crate::nn::kernels::conv::{ConvGeometry, FEWEST_CHUNKS};
use crate::nn::threads::{self, COST_OF_A_VALUE};

/// Filters that are computed together: each part transforms all of the input for itself.
const FILTERS: usize = 32;

/// Whether the gradient over `rows` rows is best computed so.
pub fn suits_parts(geometry: &ConvGeometry, rows: usize) -> bool {
    suits(geometry) && has_many_sums(geometry) && groups(geometry, rows) > 0
}

/// Groups of rows, so that together with the parts there are enough to feed many threads, each with some tiles.
fn groups(geometry: &ConvGeometry, rows: usize) -> usize {
    FEWEST_CHUNKS
        .div_ceil(geometry.filters.div_ceil(FILTERS))
        .min(threads::reduction_groups(rows, geometry.kernel_len()))
        .min(rows * tiles_of_gradient(geometry) / FEWEST_TILES)
}

/// `patches(x)ᵀ dy`, `[height, width, channels, filters]`.
pub fn by_filters(geometry: &ConvGeometry, rows: usize, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (filters, patch_len, cost) = (geometry.filters, geometry.patch_len(), geometry.cost(rows));
    let (input_len, output_len) = (geometry.input_len(), geometry.output_len());
    let plans: Vec<_> = (0..filters)
        .step_by(FILTERS)
        .map(|first| WinogradGradient::new(geometry, first..(first + FILTERS).min(filters)))
        .collect();
    let (parts, groups) = (plans.len(), groups(geometry, rows));
    let part_len = patch_len * FILTERS;
    let partials = threads::build(groups * parts * part_len, part_len, cost, |unit, dk| {
        let (rows, plan) = (threads::group_rows(rows, groups, unit / parts), &plans[unit % parts]);
        let x = &x[rows.start * input_len..rows.end * input_len];
        let dy = &dy[rows.start * output_len..rows.end * output_len];
        plan.add(x, dy, &mut dk[..patch_len * plan.part().len()]);
    });
    let cell_len = geometry.channels * filters;
    let cost = groups * geometry.kernel_len() * COST_OF_A_VALUE;
    threads::build(geometry.kernel_len(), cell_len, cost, |cell, dk| {
        for (channel, dk) in dk.chunks_exact_mut(filters).enumerate() {
            for (unit, partial) in partials.chunks_exact(part_len).enumerate() {
                let part = plans[unit % parts].part();
                let from = &partial[(cell * geometry.channels + channel) * part.len()..];
                for (total, value) in dk[part].iter_mut().zip(from) {
                    *total += value;
                }
            }
        }
    })
}
