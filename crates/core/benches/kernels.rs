//! The kernels at the shapes of the picture tutorial (a batch of 500 pictures of 28 x 28), in rows a second on two threads.
//!
//! `cargo bench -p galaxy-burn-core --no-default-features --bench kernels`

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use galaxy_burn_core::nn::kernels::conv::{self, BlockWeights, ConvBlock, ConvGeometry, ConvPair, PairNeeds};
use galaxy_burn_core::nn::kernels::dense::{self, DenseShape};
use galaxy_burn_core::nn::kernels::pool::{self, PoolGeometry};
use galaxy_burn_core::nn::kernels::window::{Padding, Window};
use galaxy_burn_core::nn::threads;

const BATCH: usize = 500;

/// Values without a pattern; `filled` of each 16 neighbours are not zero, as in a picture with an empty background.
fn values(len: usize, filled: usize) -> Vec<f32> {
    let noise =
        |i: usize| f32::from(u16::try_from(i.wrapping_mul(2_654_435_761) >> 7 & 0xFFFF).unwrap_or(0)) / 65_536.0 - 0.5;
    (0..len)
        .map(|i| if i / 3 % 16 < filled { noise(i) } else { 0.0 })
        .collect()
}

fn first() -> ConvGeometry {
    ConvGeometry::new(&[28, 28], 1, &[3, 3], 64, &[1, 1], &[1, 1], Padding::Same).expect("the kernel fits")
}

fn second() -> ConvGeometry {
    ConvGeometry::new(&[14, 14], 64, &[3, 3], 32, &[1, 1], &[1, 1], Padding::Valid).expect("the kernel fits")
}

fn halves(conv: &ConvGeometry) -> Window {
    Window::new(&conv.window.output[1..], &[2, 2], &[2, 2], &[1, 1], Padding::Valid).expect("the window fits")
}

fn block(conv: ConvGeometry) -> ConvBlock {
    ConvBlock::new(conv, halves(&conv)).expect("the pooling is of this convolution")
}

fn parameters(conv: &ConvGeometry) -> (Vec<f32>, Vec<f32>) {
    (values(conv.kernel_len(), 16), values(conv.filters, 16))
}

fn weights<'a>(kernel: &'a [f32], bias: &'a [f32]) -> BlockWeights<'a> {
    BlockWeights {
        kernel,
        bias: Some(bias),
    }
}

fn pair(criterion: &mut Criterion) {
    let mut group = group(criterion, "conv-relu-pool/both");
    let pair = ConvPair::new(block(first()), block(second())).expect("the second takes what the first puts out");
    let x = values(BATCH * first().input_len(), 8);
    let [of_first, of_second] = [first(), second()].map(|conv| parameters(&conv));
    let weights = [weights(&of_first.0, &of_first.1), weights(&of_second.0, &of_second.1)];
    group.bench_function("forward", |b| {
        b.iter(|| pair.forward(black_box(&x), weights));
    });
    let (y, passed) = pair.forward(&x, weights);
    let dy = values(y.len(), 16);
    let needs = PairNeeds {
        first: [false, true, true],
        second: [true; 2],
    };
    group.bench_function("backward", |b| {
        b.iter(|| pair.backward(black_box(&x), weights, &passed, &dy, needs));
    });
}

fn blocks(criterion: &mut Criterion) {
    for (name, conv, needs) in [("first", first(), [false, true, true]), ("second", second(), [true; 3])] {
        let mut group = group(criterion, &format!("conv-relu-pool/{name}"));
        let block = block(conv);
        let x = values(BATCH * conv.input_len(), 8);
        let (kernel, bias) = parameters(&conv);
        let weights = weights(&kernel, &bias);
        group.bench_function("forward", |b| {
            b.iter(|| block.forward(black_box(&x), weights));
        });
        let (y, winners) = block.forward(&x, weights);
        let dy = values(y.len(), 16);
        group.bench_function("backward", |b| {
            b.iter(|| block.backward(black_box(&x), &kernel, &winners, &dy, needs));
        });
    }
}

fn layers(criterion: &mut Criterion) {
    for (name, conv) in [("first", first()), ("second", second())] {
        let mut group = group(criterion, &format!("conv/{name}"));
        let x = values(BATCH * conv.input_len(), 8);
        let (kernel, bias) = (values(conv.kernel_len(), 16), values(conv.filters, 16));
        let dy = values(BATCH * conv.output_len(), 16);
        group.bench_function("forward", |b| {
            b.iter(|| conv::forward(&conv, black_box(&x), &kernel, Some(&bias)));
        });
        group.bench_function("backward_input", |b| {
            b.iter(|| conv::backward_input(&conv, &kernel, black_box(&dy)));
        });
        group.bench_function("backward_kernel", |b| {
            b.iter(|| conv::backward_kernel(&conv, &x, black_box(&dy)));
        });
        group.finish();

        let mut group = self::group(criterion, &format!("pool/{name}"));
        let pool = PoolGeometry {
            window: halves(&conv),
            channels: conv.filters,
        };
        let (y, found) = pool::max_forward(&pool, &dy);
        group.bench_function("max_forward", |b| b.iter(|| pool::max_forward(&pool, black_box(&dy))));
        group.bench_function("max_backward", |b| {
            b.iter(|| pool::max_backward(&pool, &found, black_box(&y)));
        });
        group.bench_function("average_forward", |b| {
            b.iter(|| pool::average_forward(&pool, black_box(&dy)));
        });
    }
}

fn dense_layers(criterion: &mut Criterion) {
    for (rows, inputs, units) in [(4, 7129, 16), (500, 1152, 10), (32, 784, 512), (32, 512, 512)] {
        let shape = DenseShape { rows, inputs, units };
        let mut group = criterion.benchmark_group(format!("dense/{rows}x{inputs}-{units}"));
        group.throughput(Throughput::Elements(rows as u64));
        let (x, w, dy) = (
            values(rows * inputs, 16),
            values(inputs * units, 16),
            values(rows * units, 16),
        );
        group.bench_function("forward", |b| b.iter(|| dense::forward(shape, black_box(&x), &w, None)));
        group.bench_function("backward_input", |b| {
            b.iter(|| dense::backward_input(shape, &w, black_box(&dy)));
        });
        group.bench_function("backward_weights", |b| {
            b.iter(|| dense::backward_weights(shape, &x, black_box(&dy)));
        });
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    group
}

fn kernels(criterion: &mut Criterion) {
    threads::init(2).expect("two threads can be started");
    blocks(criterion);
    pair(criterion);
    layers(criterion);
    dense_layers(criterion);
}

criterion_group!(benches, kernels);
criterion_main!(benches);
