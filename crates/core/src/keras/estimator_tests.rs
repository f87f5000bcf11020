//! Tests of the estimator archive: what goes in comes out, and everything else is refused with what it seems to be.

use serde_json::json;

use super::*;
use crate::keras::callback::Callback;
use crate::keras::optimizer::Optimizer;

fn unfitted() -> Estimator {
    let selection = json!({"optimizer_options": {"lr": 0.001, "rho": 0.9}, "optimizer_type": "RMSprop"});
    let stop = json!({"callback_type": "EarlyStopping", "patience": 2, "baseline": null});
    Estimator {
        learning_type: LearningType::KerasGClassifier,
        model: json!({"class_name": "Sequential", "config": {"name": "sequential_1", "layers": []}, "keras_version": "2.3.1"}),
        compile: Some(CompileParams {
            loss: Loss::BinaryCrossentropy,
            optimizer: Optimizer::from_form(&selection).unwrap(),
            metrics: Metric::from_form(Some(&json!("acc"))).unwrap(),
        }),
        fit: Some(FitParams {
            epochs: 10,
            batch_size: 4,
            steps_per_epoch: None,
            validation_steps: None,
            validation_split: Some(0.1),
            callbacks: vec![Callback::from_form(&stop).unwrap(), Callback::CSVLogger],
            random_seed: Some(-3),
            verbose: Some(1),
        }),
        fitted: None,
    }
}

fn fitted() -> Estimator {
    let mut history = History::new(["loss", "val_loss"]);
    history.push([("loss", 0.5), ("val_loss", 0.25)]);
    history.push([("loss", f64::NAN), ("val_loss", f64::INFINITY), ("acc", 1.0)]);
    Estimator {
        fitted: Some(Fitted {
            classes: Some(Classes::Texts(vec!["ALL".into(), "AML".into()])),
            input_shape: vec![7129],
            output_shape: vec![1],
            history,
            seed_used: u64::MAX,
        }),
        ..unfitted()
    }
}

fn complaint(bytes: &[u8]) -> String {
    Estimator::from_zip(bytes).unwrap_err().to_string()
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_estimator_survives_its_archive() {
    let archive = unfitted().to_zip(None).unwrap();
    assert_eq!(Estimator::from_zip(&archive).unwrap(), (unfitted(), None));

    let weights: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    let archive = fitted().to_zip(Some(&weights)).unwrap();
    let (again, found) = Estimator::from_zip(&archive).unwrap();
    assert_eq!(found.as_deref(), Some(weights.as_slice()));
    let history = again.fitted.unwrap().history;
    assert_eq!(history.epochs(), 2);
    assert_eq!(history.names().collect::<Vec<_>>(), ["loss", "val_loss"]);
    assert!(history.values("loss").unwrap()[1].is_nan());
    assert_eq!(history.values("val_loss"), Some([0.25, f64::INFINITY].as_slice()));
}

#[test]
fn every_kind_of_class_survives() {
    for classes in [
        Classes::Integers(vec![-1, 4]),
        Classes::Reals(vec![0, 1]),
        Classes::Texts(vec!["a".into()]),
        Classes::Booleans(vec![false, true]),
    ] {
        let text = serde_json::to_string(&classes).unwrap();
        assert_eq!(serde_json::from_str::<Classes>(&text).unwrap(), classes, "{text}");
    }
}

#[test]
fn the_same_estimator_gives_the_same_bytes() {
    assert_eq!(
        fitted().to_zip(Some(b"weights")).unwrap(),
        fitted().to_zip(Some(b"weights")).unwrap()
    );
    // The archive's time stamp is the first that zip has, wherever and whenever it is made.
    let archive = unfitted().to_zip(None).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(archive.as_slice())).unwrap();
    assert_eq!(
        zip.by_name("estimator.json").unwrap().last_modified(),
        Some(DateTime::default())
    );
}

#[test]
fn the_document_is_plain_json_that_starts_with_its_version() {
    let archive = unfitted().to_zip(None).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(archive.as_slice())).unwrap();
    let mut text = String::new();
    zip.by_name("estimator.json")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.starts_with("{\n  \"format_version\": 1,\n  \"learning_type\": \"KerasGClassifier\""),
        "{text}"
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["compile"]["loss"], "binary_crossentropy");
    assert_eq!(value["compile"]["optimizer"]["name"], "RMSprop");
    assert_eq!(value["fit"]["callbacks"][0]["callback_type"], "EarlyStopping");
}

#[test]
fn files_of_other_kinds_are_told_what_they_are() {
    let pickle = b"\x80\x04\x95\x10\x00\x8c\x1fgalaxy_ml.keras_galaxy_models\x8c\x10KerasGClassifier\x93)";
    assert_eq!(
        complaint(pickle),
        "this is a model pickled by the Python tool (KerasGClassifier), which cannot be read safely; rebuild it from its model \
         configuration with Create deep learning model"
    );
    assert!(complaint(b"\x89HDF\r\n\x1a\n\0\0").contains("(h5mlm)"));
    assert!(complaint(b"").starts_with("this is an empty file, not an estimator"));
    assert!(complaint(b"0\t1\n").starts_with("this is a plain text, not an estimator"));
    assert!(complaint(b"{\"class_name\": \"Sequential\"}").starts_with("this is a JSON text, not an estimator"));
    assert!(
        complaint(&zip_of(&[("metadata.json", b"{}"), ("model.weights.h5", b"")]))
            .contains("holds no estimator.json, so it is not an estimator (it holds metadata.json, model.weights.h5)")
    );
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let archive = fitted()
        .to_zip(Some(b"weights of some length, weights of some length"))
        .unwrap();
    for length in 0..archive.len() {
        assert!(Estimator::from_zip(&archive[..length]).is_err(), "{length} bytes");
    }
    assert!(
        complaint(&archive[..archive.len() - 10]).starts_with("the estimator's zip archive is damaged or was cut off")
    );
}

#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let archive = fitted()
        .to_zip(Some(b"weights of some length, weights of some length"))
        .unwrap();
    for position in 0..archive.len() {
        let mut forged = archive.clone();
        forged[position] ^= 0x10;
        // Only time stamps and the like may differ without anybody noticing; the contents are checked by their sums.
        if let Ok((estimator, weights)) = Estimator::from_zip(&forged) {
            assert_eq!(estimator.compile, fitted().compile, "byte {position}");
            assert_eq!(
                weights.as_deref(),
                Some(b"weights of some length, weights of some length".as_slice())
            );
        }
    }
}

#[test]
fn an_archive_that_would_unpack_to_a_flood_is_refused() {
    let flood = vec![b' '; usize::try_from(JSON_LIMIT).unwrap() + 1];
    let archive = zip_of(&[("estimator.json", &flood)]);
    assert!(archive.len() < 100_000, "{}", archive.len());
    assert!(complaint(&archive).contains("larger than 67108864 bytes"));
}

#[test]
fn a_newer_format_asks_for_a_newer_tool() {
    let archive = zip_of(&[("estimator.json", br#"{"format_version": 2, "layout": "unheard of"}"#)]);
    assert_eq!(
        complaint(&archive),
        "the estimator has format version 2, and this tool reads up to 1; use a newer version of the tool"
    );
}

#[test]
fn a_fitted_estimator_without_weights_is_refused() {
    let archive = fitted().to_zip(None).unwrap();
    assert_eq!(
        complaint(&archive),
        "the estimator says that it is fitted, but the file holds no weights; compute it again"
    );
}

#[test]
fn json_that_is_no_estimator_is_refused() {
    assert!(complaint(&zip_of(&[("estimator.json", b"{}")])).contains("missing field `format_version`"));
    assert!(
        complaint(&zip_of(&[(
            "estimator.json",
            br#"{"format_version": 1, "learning_type": "SVC"}"#
        )]))
        .contains("unknown variant `SVC`")
    );
}
