"""Makes the files that Keras 3 saves of small models, and JSON with their weights: `python make.py`. Made with Keras 3.15.1."""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
L = keras.layers
CHAIN = keras.Sequential(
    [
        keras.Input((6, 3)),
        L.Conv1D(2, 3, padding="same"),
        L.BatchNormalization(),
        L.Dropout(0.5),
        L.GRU(2, return_sequences=True),
        L.LSTM(2),
        L.Dense(3, activation="relu"),
        L.Dense(2),
    ]
)
first, second = keras.Input((3,)), keras.Input((2,))
joined = L.Concatenate()([L.Dense(2)(first), L.Dense(3)(second)])
GRAPH = keras.Model([first, second], L.Dense(1)(joined))

for name, model in (("chain", CHAIN), ("graph", GRAPH)):
    random = np.random.default_rng(7)
    model.set_weights([random.normal(size=w.shape).astype("float32").round(3) for w in model.get_weights()])
    model.save(os.path.join(HERE, f"{name}.keras"))
    model.save_weights(os.path.join(HERE, f"{name}.weights.h5"))
    layers = [
        {"class_name": type(layer).__name__, "weights": [w.astype(float).round(3).tolist() for w in layer.get_weights()]}
        for layer in model.layers
    ]
    with open(os.path.join(HERE, f"{name}.json"), "w") as file:
        json.dump({"model": json.loads(model.to_json()), "layers": layers}, file)
