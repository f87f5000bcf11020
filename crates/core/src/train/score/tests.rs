use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::keras::metric::Metric;

#[derive(Deserialize)]
struct Case {
    task: String,
    columns: usize,
    truth: Vec<f32>,
    predicted: Vec<f32>,
    probabilities: Vec<f32>,
    scores: BTreeMap<Scorer, f64>,
    report: Option<GoldenReport>,
}

#[derive(Deserialize)]
struct GoldenReport {
    precision: Vec<f64>,
    recall: Vec<f64>,
    f_score: Vec<f64>,
    support: Vec<usize>,
    confusion: Vec<Vec<usize>>,
}

impl Case {
    fn classes(values: &[f32]) -> Vec<usize> {
        values.iter().map(|value| format!("{value}").parse().unwrap()).collect()
    }

    fn score(&self, scorer: Scorer) -> Result<f64, ScoreError> {
        let (truth, predicted) = (&self.truth[..], &self.predicted[..]);
        let (probabilities, columns) = (&self.probabilities[..], self.columns);
        match self.task.as_str() {
            "classes" => scorer.score(&Judged::Classes {
                truth: &Self::classes(truth),
                predicted: &Self::classes(predicted),
                probabilities,
                classes: columns,
                positive: columns - 1,
            }),
            "labels" => scorer.score(&Judged::MultiLabel {
                truth,
                predicted,
                probabilities,
                columns,
            }),
            _ => scorer.score(&Judged::Values {
                truth,
                predicted,
                columns,
            }),
        }
    }
}

fn golden() -> Vec<Case> {
    let mut file: Value = serde_json::from_str(include_str!("../golden/scores.json")).unwrap();
    serde_json::from_value(file["cases"].take()).unwrap()
}

#[track_caller]
fn assert_close(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found} instead of {expected}"
    );
}

#[test]
fn scores_are_scikit_learns() {
    for (number, case) in golden().iter().enumerate() {
        for (&scorer, &expected) in &case.scores {
            assert_close(
                case.score(scorer).unwrap(),
                expected,
                &format!("case {number}, {scorer}"),
            );
        }
    }
}

#[test]
fn every_scorer_has_a_reference() {
    let cases = golden();
    for scorer in Scorer::ALL {
        let known = cases.iter().any(|case| case.scores.contains_key(&scorer));
        let refused = matches!(scorer, Scorer::BinarizeAuc | Scorer::BinarizeAveragePrecision);
        assert_ne!(known, refused, "{scorer}");
    }
}

#[test]
fn a_scorer_is_either_defined_for_a_case_or_refused() {
    for case in golden() {
        for scorer in Scorer::ALL {
            assert_eq!(
                case.score(scorer).is_ok(),
                case.scores.contains_key(&scorer),
                "{scorer} of {}",
                case.task
            );
        }
    }
}

#[test]
fn reports_are_scikit_learns() {
    for case in golden() {
        let Some(golden) = case.report.as_ref() else { continue };
        let (truth, predicted) = (Case::classes(&case.truth), Case::classes(&case.predicted));
        let report = classification_report(&truth, &predicted, case.columns);
        assert_eq!(report.confusion, golden.confusion);
        assert_close(report.accuracy, case.scores[&Scorer::Accuracy], "accuracy");
        for (index, class) in report.classes.iter().enumerate() {
            assert_close(class.precision, golden.precision[index], "precision");
            assert_close(class.recall, golden.recall[index], "recall");
            assert_close(class.f_score, golden.f_score[index], "F score");
            assert_eq!(class.support, golden.support[index]);
        }
    }
}

#[test]
fn names_are_the_option_values() {
    for scorer in Scorer::ALL {
        assert_eq!(serde_json::to_value(scorer).unwrap(), scorer.name());
    }
}

#[test]
fn the_forms_misspelt_options_mean_weighted() {
    let scorer = |name: &str| serde_json::from_value::<Scorer>(name.into()).unwrap();
    assert_eq!(scorer("precision_wighted"), Scorer::PrecisionWeighted);
    assert_eq!(scorer("recall_wighted"), Scorer::RecallWeighted);
    assert_eq!(scorer("recall_weighted"), Scorer::RecallWeighted);
}

#[test]
fn an_unknown_scorer_is_refused() {
    let error = serde_json::from_value::<Scorer>("acuracy".into()).unwrap_err();
    assert!(error.to_string().contains("`accuracy`"), "{error}");
}

#[test]
fn the_result_table_has_one_score_or_the_scorers_names() {
    let headers = |primary, secondary: &[Scorer]| -> Vec<String> {
        result_columns(primary, secondary)
            .into_iter()
            .map(|column| column.header)
            .collect()
    };
    assert_eq!(headers(None, &[]), ["score"]);
    assert_eq!(headers(Some(Scorer::R2), &[]), ["score"]);
    assert_eq!(headers(Some(Scorer::R2), &[Scorer::R2]), ["score"]);
    assert_eq!(
        headers(Some(Scorer::R2), &[Scorer::NegMeanAbsoluteError, Scorer::R2]),
        ["neg_mean_absolute_error", "r2"]
    );
}

#[test]
fn the_newer_result_table_adds_loss_and_metrics() {
    let metrics = Metric::from_form(Some(&serde_json::json!(["mse", "acc"]))).unwrap();
    let headers = |primary, secondary: &[Scorer]| -> Vec<String> {
        result_columns_with_metrics(primary, secondary, &metrics)
            .into_iter()
            .map(|column| column.header)
            .collect()
    };
    assert_eq!(headers(Scorer::Accuracy, &[]), ["acc", "accuracy", "loss", "mse"]);
    assert_eq!(
        headers(Scorer::R2, &[Scorer::NegMeanAbsoluteError]),
        ["acc", "loss", "mse", "neg_mean_absolute_error", "r2"]
    );
}

#[test]
fn a_scorer_for_other_targets_is_refused_before_training() {
    let error = Scorer::R2.check(Task::Classes { classes: 3 }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the scorer 'r2' is for real numbers, but the targets are 3 classes: choose another scorer"
    );
    assert!(Scorer::F1.check(Task::Classes { classes: 3 }).is_err());
    assert!(Scorer::Accuracy.check(Task::Values { columns: 1 }).is_err());
    assert!(Scorer::BinarizeAuc.check(Task::Classes { classes: 2 }).is_err());
}

#[test]
fn scores_that_these_rows_do_not_allow_say_why() {
    let one_class = Judged::Classes {
        truth: &[1, 1],
        predicted: &[1, 0],
        probabilities: &[0.1, 0.9, 0.6, 0.4],
        classes: 2,
        positive: 1,
    };
    assert_eq!(
        Scorer::RocAuc.score(&one_class),
        Err(ScoreError::OneClass {
            scorer: Scorer::RocAuc,
            rows: 2
        })
    );
    let negative = Judged::Values {
        truth: &[1.0, -0.5],
        predicted: &[1.0, 1.0],
        columns: 1,
    };
    let error = Scorer::NegMeanSquaredLogError.score(&negative).unwrap_err();
    assert!(error.to_string().contains("a target or prediction is -0.5"), "{error}");
    let nothing = Judged::Values {
        truth: &[],
        predicted: &[],
        columns: 1,
    };
    assert_eq!(Scorer::R2.score(&nothing), Err(ScoreError::NoRows));
    let odd = Judged::Values {
        truth: &[1.0],
        predicted: &[1.0, 2.0],
        columns: 1,
    };
    assert_eq!(
        Scorer::R2.score(&odd),
        Err(ScoreError::Length { truth: 1, predicted: 2 })
    );
}

#[test]
fn r2_of_one_row_is_not_a_number() {
    let one = Judged::Values {
        truth: &[1.0],
        predicted: &[1.0],
        columns: 1,
    };
    assert!(Scorer::R2.score(&one).unwrap().is_nan());
}

#[test]
fn the_positive_class_may_be_the_first() {
    let judged = |positive| Judged::Classes {
        truth: &[0, 0, 1, 1, 1],
        predicted: &[0, 1, 1, 1, 0],
        probabilities: &[0.0; 10],
        classes: 2,
        positive,
    };
    assert_close(Scorer::Precision.score(&judged(0)).unwrap(), 1.0 / 2.0, "class 0");
    assert_close(Scorer::Precision.score(&judged(1)).unwrap(), 2.0 / 3.0, "class 1");
}
