//! Weights and estimators that we write, loaded by real Keras. Needs a Python with Keras 2.15:
//! `KERAS_PYTHON=.../bin/python cargo test -p galaxy-burn-core --test keras_loads_what_we_write -- --ignored`

use std::fs;
use std::path::Path;
use std::process::Command;

use galaxy_burn_core::keras::estimator::{Estimator, LearningType};
use galaxy_burn_core::keras::weights;

#[test]
#[ignore = "needs real Keras: set KERAS_PYTHON to a Python that has it"]
fn keras_loads_what_we_write() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras-2.15");
    let dir = tempfile::tempdir().unwrap();
    let mut cases = 0;
    for entry in fs::read_dir(&golden).unwrap() {
        let json = entry.unwrap().path();
        let h5 = json.with_extension("h5");
        if json.extension().is_none_or(|extension| extension != "json") || !h5.exists() {
            continue;
        }
        cases += 1;
        let layers = weights::read(fs::read(&h5).unwrap()).unwrap();
        let bytes = weights::write(&layers).unwrap();
        fs::write(dir.path().join(h5.file_name().unwrap()), &bytes).unwrap();
        let case: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        let estimator = Estimator {
            learning_type: LearningType::Prefitted,
            model: case["model"].clone(),
            compile: None,
            fit: None,
            fitted: None,
        };
        let archive = estimator.to_zip(Some(&bytes)).unwrap();
        fs::write(
            dir.path().join(json.with_extension("zip").file_name().unwrap()),
            archive,
        )
        .unwrap();
    }
    assert!(cases > 50, "only {cases} golden cases");
    let python = std::env::var("KERAS_PYTHON").expect("KERAS_PYTHON is the path of a Python with Keras");
    let status = Command::new(python)
        .arg(golden.join("check_keras_loads.py"))
        .arg(dir.path())
        .status()
        .expect("Python starts");
    assert!(status.success());
}
