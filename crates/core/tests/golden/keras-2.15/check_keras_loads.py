#!/usr/bin/env python3
"""Checks that real Keras and h5py load what this project writes.

    python check_keras_loads.py DIR

DIR holds weights files called like the golden cases beside this script (lstm.h5, cnn_like.h5, ...) and estimator archives (*.zip).
Weights must load into the model of their case and predict what the case says, estimators with weights must load into their own
model. The test `keras_loads_what_we_write` makes such a directory and runs this script with the Python in KERAS_PYTHON.
"""

import json
import os
import pathlib
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import h5py
import keras
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def array(tensor, dtype=np.float32):
    return np.array([float(v) for v in tensor["values"]], dtype).reshape(tensor["shape"])


def check_layout(path):
    """What Keras 2.3.1 with h5py relies on."""
    with h5py.File(path, "r") as file:
        names = list(file.attrs["layer_names"])
        assert set(file.attrs) == {"layer_names", "backend", "keras_version"}, list(file.attrs)
        for name in names:
            assert isinstance(name, bytes), f"layer name {name!r} is no fixed-length string"
            group = file[name.decode()]
            weights = group.attrs["weight_names"]
            if len(weights) == 0:
                assert weights.dtype == np.float64 and weights.shape == (0,), weights
            for weight in weights:
                dataset = group[weight.decode()]
                assert dataset.dtype == np.dtype("<f4") and dataset.chunks is None, dataset


def check_weights(path):
    check_layout(path)
    case = json.loads((HERE / f"{path.stem}.json").read_text())
    model = keras.models.model_from_json(json.dumps(case["model"]))
    model.load_weights(str(path))
    prediction = model.predict(array(case["input"]), verbose=0)
    np.testing.assert_allclose(prediction, array(case["prediction"]), rtol=1e-5, atol=1e-6, err_msg=path.name)


def check_estimator(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        estimator = json.loads(archive.read("estimator.json"))
        model = keras.models.model_from_json(json.dumps(estimator["model"]))
        if "weights.h5" in archive.namelist():
            with tempfile.NamedTemporaryFile(suffix=".h5") as weights:
                weights.write(archive.read("weights.h5"))
                weights.flush()
                check_layout(weights.name)
                model.load_weights(weights.name)


def main():
    directory = pathlib.Path(sys.argv[1])
    files = sorted([*directory.glob("*.h5"), *directory.glob("*.zip")])
    assert files, f"no files to check in {directory}"
    for path in files:
        (check_weights if path.suffix == ".h5" else check_estimator)(path)
    print(f"Keras {keras.__version__} loads {len(files)} files")


if __name__ == "__main__":
    main()
