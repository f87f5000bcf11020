use proptest::prelude::*;

use super::super::testing::{assert_close, assert_slopes, values};
use super::*;

/// The convolution as its definition says it, in f64.
fn naive(g: &DepthwiseGeometry, x: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f64> {
    let (channels, multiplier, filters) = (g.channels, g.multiplier, g.filters());
    let mut y = Vec::new();
    for x in x.chunks_exact(g.input_len()) {
        for index in 0..g.window.output_cells() {
            let mut sums: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
            g.window.for_each_cell(g.window.output_at(index), |cell, place| {
                for channel in 0..channels {
                    for m in 0..multiplier {
                        let filter = channel * multiplier + m;
                        let weight = kernel[cell * filters + filter];
                        sums[filter] += f64::from(x[place * channels + channel]) * f64::from(weight);
                    }
                }
            });
            y.extend(sums);
        }
    }
    y
}

fn geometries() -> impl Strategy<Value = DepthwiseGeometry> {
    let axis = (1_usize..12, 1_usize..4, 1_usize..4, 1_usize..3);
    let axes = prop::collection::vec(axis, 1..4);
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(Padding::Causal)];
    (axes, 1_usize..20, 1_usize..4, padding).prop_filter_map("does not fit", |(axes, channels, multiplier, padding)| {
        let column = |of: fn(&(usize, usize, usize, usize)) -> usize| axes.iter().map(of).collect::<Vec<_>>();
        DepthwiseGeometry::new(
            &column(|a| a.0),
            channels,
            &column(|a| a.1),
            multiplier,
            &column(|a| a.2),
            &column(|a| a.3),
            padding,
        )
        .ok()
    })
}

fn agrees_with_plain_loops(g: &DepthwiseGeometry, batch: usize) {
    let x = values(batch * g.input_len(), 1);
    let kernel = values(g.kernel_len(), 2);
    let bias = values(g.filters(), 3);
    let dy = values(batch * g.output_len(), 4);
    assert_close(
        &forward(g, &x, &kernel, Some(&bias)),
        &naive(g, &x, &kernel, &bias),
        1e-5,
    );
    let none = vec![0.0; g.filters()];
    assert_close(&forward(g, &x, &kernel, None), &naive(g, &x, &kernel, &none), 1e-5);
    assert_slopes(&backward_input(g, &kernel, &dy), &x, &dy, |x| {
        naive(g, x, &kernel, &bias)
    });
    assert_slopes(&backward_kernel(g, &x, &dy), &kernel, &dy, |kernel| {
        naive(g, &x, kernel, &bias)
    });
    assert_slopes(&backward_bias(g, &dy), &bias, &dy, |bias| naive(g, &x, &kernel, bias));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_depthwise_convolution_agrees_with_plain_loops(g in geometries(), batch in 1_usize..4) {
        for isa in Isa::available() {
            isa.hold(|| agrees_with_plain_loops(&g, batch));
        }
    }
}

#[test]
fn long_lines_are_walked_in_pieces() {
    let g = DepthwiseGeometry::new(&[4, 90], 7, &[3, 3], 2, &[1, 1], &[1, 1], Padding::Same).unwrap();
    for isa in Isa::available() {
        isa.hold(|| agrees_with_plain_loops(&g, 2));
    }
}

#[test]
fn the_bytes_are_the_same_on_any_number_of_threads() {
    let g = DepthwiseGeometry::new(&[28, 28], 32, &[3, 3], 1, &[2, 2], &[1, 1], Padding::Same).unwrap();
    let (x, kernel) = (values(40 * g.input_len(), 1), values(g.kernel_len(), 2));
    let dy = values(40 * g.output_len(), 3);
    let run = || {
        [
            forward(&g, &x, &kernel, None),
            backward_input(&g, &kernel, &dy),
            backward_kernel(&g, &x, &dy),
        ]
    };
    let alone = threads::pool(1).unwrap().install(run);
    for count in [2, 7] {
        assert_eq!(threads::pool(count).unwrap().install(run), alone);
    }
}
