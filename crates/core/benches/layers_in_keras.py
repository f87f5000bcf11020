#!/usr/bin/env python3
"""Times training steps of the models in `layers.json` with Keras 2.15; prints one JSON object, milliseconds a step by name.

`cargo xtask bench --layers --peer PYTHON` runs it beside `cargo run --example layer_speed`.
"""

import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

STEPS = 60


def measure(case):
    keras.backend.clear_session()
    model = keras.Sequential([keras.Input(case["shape"])])
    for kind, options in case["layers"]:
        model.add(getattr(keras.layers, kind)(**options))
    model.compile(loss="mse", optimizer=keras.optimizers.legacy.Adam(0.001))
    rng = np.random.default_rng(1)
    rows = case["batch"] * STEPS
    x = rng.normal(size=(rows, *case["shape"])).astype(np.float32)
    y = rng.normal(size=(rows, *model.output_shape[1:])).astype(np.float32)
    model.fit(x, y, batch_size=case["batch"], epochs=1, verbose=0, shuffle=False)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        model.fit(x, y, batch_size=case["batch"], epochs=1, verbose=0, shuffle=False)
        times.append((time.perf_counter() - start) / STEPS * 1000)
    return min(times)


def main():
    file = pathlib.Path(__file__).with_name("layers.json")
    wanted = sys.argv[1:]
    cases = [case for case in json.loads(file.read_text()) if not wanted or any(name in case["name"] for name in wanted)]
    print(json.dumps({case["name"]: measure(case) for case in cases}))


if __name__ == "__main__":
    main()
