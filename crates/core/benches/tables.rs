//! Reading tables: our block reader against the csv crate with the standard library's number parser.
//!
//! `cargo bench -p galaxy-burn-core --no-default-features --bench tables`

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use galaxy_burn_core::galaxy::columns::Selector;
use galaxy_burn_core::galaxy::table::read_matrix;

/// Pixels as MNIST has them: four of five are 0, the others up to three digits.
fn pixels(rows: u64, columns: u64) -> String {
    cells(rows, columns, |draw, cell| {
        if draw % 5 == 0 {
            write!(cell, "{}", draw / 5 % 256)
        } else {
            write!(cell, "0")
        }
    })
}

/// Reals with 15 decimals, as pandas writes them.
fn reals(rows: u64, columns: u64) -> String {
    cells(rows, columns, |draw, cell| {
        write!(cell, "0.{:015}", draw % 1_000_000_000_000_000)
    })
}

fn cells(rows: u64, columns: u64, mut cell: impl FnMut(u64, &mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    let mut state = 1_u64;
    for _ in 0..rows {
        for column in 0..columns {
            // Knuth's linear congruential generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            cell(state >> 14, &mut text).expect("writing to a string");
            text.push(if column + 1 == columns { '\n' } else { '\t' });
        }
    }
    text
}

fn with_csv(path: &Path) -> Vec<f32> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .has_headers(false)
        .quoting(false)
        .from_path(path)
        .expect("the table exists");
    let mut record = csv::ByteRecord::new();
    let mut values = Vec::new();
    while reader.read_byte_record(&mut record).expect("a table") {
        for cell in &record {
            let number: f64 = std::str::from_utf8(cell).expect("text").parse().expect("a number");
            #[expect(clippy::cast_possible_truncation, reason = "as the tables are read")]
            values.push(number as f32);
        }
    }
    values
}

fn tables(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in [("pixels", pixels(6000, 784)), ("reals", reals(2000, 500))] {
        let path = dir.path().join(name);
        std::fs::write(&path, &text).expect("room for the table");
        let ours = read_matrix(&path, false, &Selector::AllColumns).expect("a table");
        assert_eq!(ours.values, with_csv(&path), "both read the same numbers");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
        group.bench_function("read_matrix", |bench| {
            bench.iter(|| black_box(read_matrix(&path, false, &Selector::AllColumns)));
        });
        group.bench_function("csv crate", |bench| bench.iter(|| black_box(with_csv(&path))));
        group.finish();
    }
}

criterion_group!(benches, tables);
criterion_main!(benches);
