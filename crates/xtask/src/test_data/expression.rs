//! Gene expression of leukaemia patients, made up: 7129 genes, some of which differ between two types of the disease.

use super::random::Random;
use super::{Tutorial, line};

const GENES: usize = 7129;
/// Every eighteenth gene tells the types apart: up in one half of them, down in the other.
const TELLING: usize = 18;
/// By how much, in standard deviations of the noise.
const SHIFT: f64 = 0.9;

/// The tables of the introduction to deep learning: 38 and 34 patients, with header.
pub fn tables() -> Tutorial {
    let mut random = Random::new(0x6c65_756b);
    let (train_features, train_labels) = patients(&mut random, 38, 11);
    let (test_features, test_labels) = patients(&mut random, 34, 14);
    Tutorial {
        train_features,
        train_labels,
        test_features,
        test_labels,
    }
}

/// Features and labels of so many patients, of whom so many have type 1.
fn patients(random: &mut Random, count: usize, of_type_one: usize) -> (String, String) {
    let mut types: Vec<u8> = (0..count).map(|patient| u8::from(patient < of_type_one)).collect();
    random.shuffle(&mut types);
    let mut features = line((1..=GENES).map(|gene| format!("gene{gene}")));
    for &kind in &types {
        features.push_str(&line((0..GENES).map(|gene| {
            let sign = match (gene % TELLING, kind) {
                (0, 1) => 1.0,
                (0, _) => -1.0,
                _ => 0.0,
            };
            let up = if gene % (2 * TELLING) == 0 { 1.0 } else { -1.0 };
            // Whole numbers keep the file small, as differences of log ratios would be after rounding.
            format!("{:.0}", random.normal() + sign * up * SHIFT).replace("-0", "0")
        })));
    }
    let labels: String = types.iter().map(|kind| line([kind])).collect();
    (features, format!("cancer\n{labels}"))
}
