//! Convolutions held to plain loops and finite differences over random geometries, on every number of threads.

use proptest::prelude::*;

use super::*;
use crate::nn::kernels::pool::{ArgMax, PoolGeometry, max_backward, max_forward};
use crate::nn::kernels::simd::Isa;
use crate::nn::kernels::testing::{assert_close, assert_slopes, values};

/// The convolution by loops over all coordinates, summed in f64.
fn naive(g: &ConvGeometry, x: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f64> {
    let Window {
        input,
        kernel: size,
        strides,
        dilation,
        pad_before,
        output,
    } = g.window;
    let mut y = Vec::new();
    for x in x.chunks_exact(g.input_len()) {
        for at in 0..g.window.output_cells() {
            let o = [at / (output[1] * output[2]), at / output[2] % output[1], at % output[2]];
            let mut sums: Vec<f64> = bias.iter().map(|b| f64::from(*b)).collect();
            for k in 0..g.window.kernel_cells() {
                let cell = [k / (size[1] * size[2]), k / size[2] % size[1], k % size[2]];
                let place = [0, 1, 2].map(|a| (o[a] * strides[a] + cell[a] * dilation[a]).wrapping_sub(pad_before[a]));
                if (0..3).all(|a| place[a] < input[a]) {
                    let place = (place[0] * input[1] + place[1]) * input[2] + place[2];
                    for channel in 0..g.channels {
                        let value = f64::from(x[place * g.channels + channel]);
                        for (filter, sum) in sums.iter_mut().enumerate() {
                            *sum += value * f64::from(kernel[(k * g.channels + channel) * g.filters + filter]);
                        }
                    }
                }
            }
            y.extend(sums);
        }
    }
    y
}

/// The gradients for the input and the kernel by the same loops.
fn naive_gradients(g: &ConvGeometry, x: &[f32], kernel: &[f32], dy: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut dx, mut dkernel) = (vec![0.0; x.len()], vec![0.0; kernel.len()]);
    for (row, dy) in dy.chunks_exact(g.output_len()).enumerate() {
        for (at, dy) in dy.chunks_exact(g.filters).enumerate() {
            g.window.for_each_cell(g.window.output_at(at), |k, place| {
                for channel in 0..g.channels {
                    let x_index = row * g.input_len() + place * g.channels + channel;
                    for (filter, dy) in dy.iter().enumerate() {
                        let k_index = (k * g.channels + channel) * g.filters + filter;
                        dx[x_index] += f64::from(kernel[k_index]) * f64::from(*dy);
                        dkernel[k_index] += f64::from(x[x_index]) * f64::from(*dy);
                    }
                }
            });
        }
    }
    (dx, dkernel)
}

/// Any small convolution: rank, kernel, strides, dilation and padding at random.
fn geometries() -> impl Strategy<Value = ConvGeometry> {
    let axis = (1_usize..10, 1_usize..5, 1_usize..4, 1_usize..4);
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(Padding::Causal)];
    (
        proptest::collection::vec(axis, 1..=3),
        1_usize..20,
        1_usize..40,
        padding,
    )
        .prop_filter_map("the kernel fits", |(axes, channels, filters, padding)| {
            let column = |of: fn(&(usize, usize, usize, usize)) -> usize| axes.iter().map(of).collect::<Vec<_>>();
            let (input, kernel) = (column(|a| a.0), column(|a| a.1));
            ConvGeometry::new(
                &input,
                channels,
                &kernel,
                filters,
                &column(|a| a.2),
                &column(|a| a.3),
                padding,
            )
            .ok()
        })
}

/// Pictures with 3x3 and 5x5 kernels as most networks have them, so that the paths made for these are met.
fn pictures() -> impl Strategy<Value = ConvGeometry> {
    let cells = prop_oneof![Just(3_usize), Just(5)];
    let lengths = (0_usize..14, 0_usize..14);
    (cells, lengths, 1_usize..40, 1_usize..70, any::<bool>()).prop_map(
        |(cells, (height, width), channels, filters, same)| {
            let input = [cells + height, cells + width];
            let padding = if same { Padding::Same } else { Padding::Valid };
            ConvGeometry::new(&input, channels, &[cells; 2], filters, &[1, 1], &[1, 1], padding).unwrap()
        },
    )
}

/// What rounding takes of the largest value at most.
const ROUNDING: f64 = 1e-5;
/// The same by Winograd's tiles, whose intermediate results are larger.
const ROUNDING_OF_TILES: f64 = 2e-5;

fn rounding(g: &ConvGeometry) -> f64 {
    if winograd::suits(g) {
        ROUNDING_OF_TILES
    } else {
        ROUNDING
    }
}

pub(super) struct Case {
    pub x: Vec<f32>,
    pub kernel: Vec<f32>,
    pub bias: Vec<f32>,
    dy: Vec<f32>,
}

pub(super) fn case(g: &ConvGeometry, batch: usize) -> Case {
    Case {
        x: values(batch * g.input_len(), 1),
        kernel: values(g.kernel_len(), 2),
        bias: values(g.filters, 3),
        dy: values(batch * g.output_len(), 4),
    }
}

impl Case {
    pub fn weights(&self) -> BlockWeights<'_> {
        weights(&self.kernel, &self.bias)
    }
}

fn weights<'a>(kernel: &'a [f32], bias: &'a [f32]) -> BlockWeights<'a> {
    BlockWeights {
        kernel,
        bias: Some(bias),
    }
}

fn agrees_with_plain_loops(g: &ConvGeometry, batch: usize) {
    let Case { x, kernel, bias, dy } = case(g, batch);
    assert_close(
        &forward(g, &x, &kernel, Some(&bias)),
        &naive(g, &x, &kernel, &bias),
        rounding(g),
    );
    assert_close(
        &forward(g, &x, &kernel, None),
        &naive(g, &x, &kernel, &vec![0.0; g.filters]),
        rounding(g),
    );
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
    fn any_convolution_agrees_with_plain_loops(g in geometries(), batch in 1_usize..4) {
        on_every_instruction_set(|| agrees_with_plain_loops(&g, batch));
    }

    #[test]
    fn convolutions_of_pictures_agree_with_plain_loops(g in pictures(), batch in 1_usize..4) {
        on_every_instruction_set(|| agrees_with_plain_loops(&g, batch));
    }

    #[test]
    fn a_block_is_its_three_layers(
        g in prop_oneof![geometries(), pictures()],
        pool in (1_usize..4, 1_usize..4, any::<bool>()),
        batch in 1_usize..4,
    ) {
        on_every_instruction_set(|| block_is_its_three_layers(&g, pool, batch));
    }
}

pub(super) fn on_every_instruction_set(test: impl Fn()) {
    for isa in Isa::available() {
        isa.hold(&test);
    }
}

fn relu(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| value.max(0.0)).collect()
}

fn block_is_its_three_layers(g: &ConvGeometry, (size, stride, same): (usize, usize, bool), batch: usize) {
    let mut c = case(g, batch);
    // Empty surroundings, as pictures have them.
    c.x.iter_mut()
        .filter(|value| **value < -0.2)
        .for_each(|value| *value = 0.0);
    let pad = if same { Padding::Same } else { Padding::Valid };
    let kernel = g.window.output.map(|length| length.min(size));
    let window = Window::new(&g.window.output, &kernel, &[stride; 3], &[1; 3], pad).unwrap();
    let pool = PoolGeometry {
        window,
        channels: g.filters,
    };
    let block = ConvBlock::new(*g, window).unwrap();

    let open = forward(g, &c.x, &c.kernel, Some(&c.bias));
    let (y, found) = max_forward(&pool, &relu(&open));
    let (block_y, winners) = block.forward(&c.x, c.weights());
    assert_eq!(block.output(&c.x, c.weights()), block_y);
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    assert_close(&block_y, &wide(&y), rounding(g));

    // Values within rounding of each other may win in either: gradients are compared where the winners agree.
    let mut dy = values(y.len(), 5);
    let ArgMax::Bytes(found) = found else {
        panic!("the window is small")
    };
    for ((slope, value), (found, winner)) in dy.iter_mut().zip(&y).zip(found.iter().zip(&winners.0)) {
        if (*value > 0.0) != (*winner != u8::MAX) || (*value > 0.0 && found != winner) {
            *slope = 0.0;
        }
    }
    let unpooled = max_backward(&pool, &ArgMax::Bytes(found), &dy);
    let dopen: Vec<f32> = unpooled
        .iter()
        .zip(&open)
        .map(|(slope, value)| if *value > 0.0 { *slope } else { 0.0 })
        .collect();
    let gradients = block.backward(&c.x, &c.kernel, &winners, &dy, [true; 3]);
    let (dx, dkernel) = naive_gradients(g, &c.x, &c.kernel, &dopen);
    assert_close(&gradients.input.unwrap(), &dx, ROUNDING);
    assert_close(&gradients.kernel.unwrap(), &dkernel, ROUNDING);
    assert_close(&gradients.bias.unwrap(), &wide(&backward_bias(g, &dopen)), ROUNDING);
    assert_eq!(
        block.backward(&c.x, &c.kernel, &winners, &dy, [false; 3]),
        ConvGradients::default()
    );
}

/// One convolution for each way to compute it.
fn of_every_plan() -> Vec<ConvGeometry> {
    let same = |input: &[usize], channels, kernel: &[usize], filters, strides: &[usize]| {
        ConvGeometry::new(
            input,
            channels,
            kernel,
            filters,
            strides,
            &vec![1; input.len()],
            Padding::Same,
        )
        .unwrap()
    };
    let small = [
        same(&[28, 28], 1, &[3, 3], 64, &[1, 1]),
        same(&[12, 12], 20, &[3, 3], 40, &[1, 1]),
        same(&[14, 14], 64, &[3, 3], 32, &[1, 1]),
        same(&[9, 12], 20, &[5, 5], 24, &[1, 1]),
        same(&[40], 16, &[5], 24, &[2]),
        same(&[6, 6, 6], 8, &[2, 2, 2], 20, &[1, 1, 1]),
    ];
    small.into_iter().chain(large()).collect()
}

/// Large kernels over few windows, as they are deep in a network: with and without strides, of one cell, by tiles, and by tiles whose
/// sums are cut by filters.
fn large() -> [ConvGeometry; 5] {
    let same = |input: [usize; 2], channels, kernel: [usize; 2], filters, strides: [usize; 2]| {
        ConvGeometry::new(&input, channels, &kernel, filters, &strides, &[1, 1], Padding::Same).unwrap()
    };
    let geometries = [
        same([3, 3], 160, [3, 3], 50, [1, 1]),
        same([4, 5], 160, [3, 3], 50, [2, 2]),
        same([1, 1], 420, [1, 1], 170, [1, 1]),
        same([4, 4], 128, [3, 3], 128, [1, 1]),
        same([4, 5], 170, [3, 3], 180, [1, 1]),
    ];
    assert!(geometries.iter().all(ConvGeometry::is_large));
    assert_eq!(
        geometries.map(|g| winograd::suits_parts(&g, 40)),
        [false, false, false, false, true]
    );
    geometries
}

/// The block of a convolution and max-pooling by two.
fn pooled_by_two(g: &ConvGeometry) -> ConvBlock {
    let twos = g.window.output.map(|length| length.min(2));
    let window = Window::new(&g.window.output, &twos, &twos, &[1; 3], Padding::Valid).unwrap();
    ConvBlock::new(*g, window).unwrap()
}

#[test]
fn weights_that_are_no_numbers_show_behind_relu_and_pooling() {
    on_every_instruction_set(|| {
        for g in of_every_plan() {
            let Case {
                x, mut kernel, bias, ..
            } = case(&g, 2);
            let broken = g.filters - 1;
            kernel
                .iter_mut()
                .skip(broken)
                .step_by(g.filters)
                .for_each(|weight| *weight = f32::NAN);
            let (y, _) = pooled_by_two(&g).forward(&x, weights(&kernel, &bias));
            for (at, value) in y.iter().enumerate() {
                assert_eq!(value.is_nan(), at % g.filters == broken, "{g:?}: {value} at {at}");
            }
        }
    });
}

#[test]
fn the_bytes_are_the_same_on_any_number_of_threads() {
    for g in of_every_plan() {
        let Case { x, kernel, bias, dy } = case(&g, 40);
        let block = pooled_by_two(&g);
        let slopes = values(40 * block.output_len(), 6);
        let run = || {
            let (y, winners) = block.forward(&x, weights(&kernel, &bias));
            let gradients = block.backward(&x, &kernel, &winners, &slopes, [true; 3]);
            let plain = [
                forward(&g, &x, &kernel, Some(&bias)),
                backward_input(&g, &kernel, &dy),
                backward_kernel(&g, &x, &dy),
                backward_bias(&g, &dy),
            ];
            (plain, y, winners, gradients)
        };
        let alone = threads::pool(1).unwrap().install(run);
        for count in [2, 7] {
            assert_eq!(threads::pool(count).unwrap().install(run), alone);
        }
    }
}

#[test]
fn a_block_that_has_kept_a_kernel_notices_other_weights() {
    on_every_instruction_set(|| {
        for g in of_every_plan() {
            let Case {
                x,
                mut kernel,
                mut bias,
                ..
            } = case(&g, 2);
            let block = pooled_by_two(&g);
            let slopes = values(2 * block.output_len(), 6);
            let run = |block: &ConvBlock, kernel: &[f32], bias: &[f32]| {
                let (y, winners) = block.forward(&x, weights(kernel, bias));
                let gradients = block.backward(&x, kernel, &winners, &slopes, [true; 3]);
                (y, winners, gradients)
            };
            let before = run(&block, &kernel, &bias);
            bias[0] += 1.0;
            let with_bias = run(&block, &kernel, &bias);
            *kernel.last_mut().unwrap() += 1.0;
            let with_both = run(&block, &kernel, &bias);
            assert!(
                with_bias.0 != before.0 && with_both.2.input != with_bias.2.input,
                "{g:?}"
            );
            assert_eq!(with_both, run(&pooled_by_two(&g), &kernel, &bias), "{g:?}");
        }
    });
}

#[test]
fn a_large_kernel_gives_many_rows_the_input_gradient_that_it_gives_few() {
    const ROWS: usize = 32;
    const FEW: usize = 8;
    let g = ConvGeometry::new(&[9, 9], 160, &[3, 3], 50, &[2, 2], &[1, 1], Padding::Same).unwrap();
    assert!(g.is_large() && !col2im::are_few_windows(&g, ROWS) && col2im::are_few_windows(&g, FEW));
    let Case { kernel, dy, .. } = case(&g, ROWS);
    let few = dy.chunks_exact(FEW * g.output_len());
    let want: Vec<f64> = few
        .flat_map(|dy| backward_input(&g, &kernel, dy))
        .map(f64::from)
        .collect();
    assert_close(&backward_input(&g, &kernel, &dy), &want, rounding(&g));
}

#[test]
fn large_kernels_over_few_windows_agree_with_plain_loops() {
    for (g, batch) in large().into_iter().flat_map(|g| [(g, 1), (g, 45)]) {
        let Case { x, kernel, bias, dy } = case(&g, batch);
        let y = naive(&g, &x, &kernel, &bias);
        let (dx, dkernel) = naive_gradients(&g, &x, &kernel, &dy);
        on_every_instruction_set(|| {
            assert_close(&forward(&g, &x, &kernel, Some(&bias)), &y, rounding(&g));
            assert_close(&backward_input(&g, &kernel, &dy), &dx, rounding(&g));
            assert_close(&backward_kernel(&g, &x, &dy), &dkernel, rounding(&g));
        });
    }
}

#[test]
fn kernels_wider_than_any_tile_are_convolved() {
    let wide = ConvGeometry::new(&[20], 3, &[13], 4, &[1], &[1], Padding::Same).unwrap();
    let square = ConvGeometry::new(&[12, 12], 2, &[11, 11], 3, &[1, 1], &[1, 1], Padding::Valid).unwrap();
    for g in [wide, square] {
        agrees_with_plain_loops(&g, 2);
    }
}

#[test]
fn what_cannot_be_convolved_is_named() {
    let message = ConvGeometry::new(&[4, 4], 3, &[3, 3], 0, &[1, 1], &[1, 1], Padding::Same)
        .unwrap_err()
        .to_string();
    assert_eq!(message, "the filters along axis 3 is 0: it must be at least 1");
}
