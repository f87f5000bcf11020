#!/usr/bin/env python3
"""Times training steps of the models in a file beside this one (`layers.json` or `shapes.json`, the first argument) with Keras 2 or 3;
prints one JSON object, milliseconds a step by name. Keras traces each model in a few steps before, which are not timed. Models with a
layer that this Keras has not are left out.

`cargo xtask bench --layers` and `--shapes` run it beside `layer_speed`.
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
ROUNDS = 2
TRACING_STEPS = 4


def optimizer():
    adam = keras.optimizers.legacy.Adam if keras.__version__.startswith("2.") else keras.optimizers.Adam
    return adam(0.001)


def inputs(case, rows, rng):
    if "ids" in case:
        return rng.integers(0, case["ids"], size=(rows, *case["shape"])).astype(np.float32)
    x = rng.normal(size=(rows, *case["shape"])).astype(np.float32)
    if "padded" in case:
        x[:, int(case["shape"][0] * (1 - case["padded"])):] = 0
    return x


def measure(case):
    keras.backend.clear_session()
    model = keras.Sequential([keras.Input(case["shape"])])
    for kind, options in case["layers"]:
        model.add(getattr(keras.layers, kind)(**options))
    model.compile(loss="mse", optimizer=optimizer())
    rng = np.random.default_rng(1)
    steps = case.get("steps", STEPS)
    rows = case["batch"] * steps
    x = inputs(case, rows, rng)
    y = rng.normal(size=(rows, *model.output_shape[1:])).astype(np.float32)
    few = case["batch"] * min(TRACING_STEPS, steps)
    model.fit(x[:few], y[:few], batch_size=case["batch"], epochs=1, verbose=0, shuffle=False)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.fit(x, y, batch_size=case["batch"], epochs=1, verbose=0, shuffle=False)
        times.append((time.perf_counter() - start) / steps * 1000)
    return min(times)


def main():
    file = pathlib.Path(__file__).with_name(sys.argv[1])
    wanted = sys.argv[2:]
    cases = [case for case in json.loads(file.read_text()) if not wanted or any(name in case["name"] for name in wanted)]
    cases = [case for case in cases if all(hasattr(keras.layers, kind) for kind, _ in case["layers"])]
    print(json.dumps({case["name"]: measure(case) for case in cases}))


if __name__ == "__main__":
    main()
