//! The small tables of the wrappers' own tests: two clouds of points with numbers, words, groups and a quantity, and some labels.

use super::line;
use super::random::Random;

const SAMPLES: usize = 120;
const LABELS: usize = 40;
const CELL_TYPES: [&str; 2] = ["healthy", "tumour"];

/// Name and text of each table.
pub fn tables() -> Vec<(&'static str, String)> {
    let mut random = Random::new(0x626c_6f62);
    let mut tables = clouds(&mut random);
    tables.extend(labels(&mut random));
    tables
}

/// `blobs*.tsv`: 60 samples of each cell type, two deviations apart, in three batches; the dose is a weighted sum.
fn clouds(random: &mut Random) -> Vec<(&'static str, String)> {
    let features = ["x1", "x2", "x3", "x4"];
    let mut all = line(
        ["sample"]
            .into_iter()
            .chain(features)
            .chain(["cell type", "batch", "dose"]),
    );
    let mut x = line(features);
    let mut y = String::from("label\n");
    let mut predicted = String::from("Predicted\n");
    let mut kinds: Vec<usize> = (0..SAMPLES).map(|sample| sample % 2).collect();
    random.shuffle(&mut kinds);
    for (sample, &kind) in kinds.iter().enumerate() {
        let centre = [-1.0, 1.0][kind];
        let point: Vec<f64> = [1.0, -1.0, 1.0, 0.0]
            .iter()
            .map(|side| centre * side + random.normal())
            .collect();
        let dose = 0.5 * point[0] - 0.3 * point[1] + 0.2 * point[3] + 0.05 * random.normal();
        let numbers: Vec<String> = point.iter().map(|value| format!("{value:.3}")).collect();
        let batch = format!("batch {}", sample % 3 + 1);
        let name = format!("s{}", sample + 1);
        all.push_str(&line([name].into_iter().chain(numbers.clone()).chain([
            CELL_TYPES[kind].into(),
            batch,
            format!("{dose:.3}"),
        ])));
        x.push_str(&line(numbers));
        y.push_str(&line([kind]));
        let mistaken = random.chance(0.1);
        predicted.push_str(&line([CELL_TYPES[if mistaken { 1 - kind } else { kind }]]));
    }
    vec![
        ("blobs.tsv", all),
        ("blobs_X.tsv", x),
        ("blobs_y.tsv", y),
        ("blobs_predicted.tsv", predicted),
    ]
}

/// `labels_*.tsv`: digits 0 to 4, the true ones without and the predicted ones with a header, one in five mistaken.
fn labels(random: &mut Random) -> Vec<(&'static str, String)> {
    let mut truth = String::new();
    let mut predicted = String::from("Predicted\n");
    for sample in 0..LABELS {
        let label = sample % 5;
        truth.push_str(&line([label]));
        predicted.push_str(&line([if random.chance(0.2) { random.below(5) } else { label }]));
    }
    vec![("labels_true.tsv", truth), ("labels_predicted.tsv", predicted)]
}
