"""Writes keras215.json: small recurrent layers, their outputs and gradients, computed by Keras 2.15.

    python make.py        (needs tensorflow 2.15)

Each case holds the layer's options, all numbers that go in, and what Keras makes of them: the output, the last states, and the gradients
of sum(output * dy) for the input, the weights and the first states. Arrays are flat, in C order.
"""

import itertools
import json
import os

import numpy
import tensorflow as tf

BATCH, STEPS, FEATURES, UNITS = 3, 4, 2, 3
random = numpy.random.default_rng(20)


def numbers(*shape):
    return random.uniform(-1, 1, shape).round(3).astype("float32")


def flat(array):
    return None if array is None else [float(f"{x:.7g}") for x in numpy.asarray(array, "float64").ravel()]


def case(family, options, masked, stateful):
    layer = getattr(tf.keras.layers, family)(UNITS, return_state=True, **options)
    x = tf.Variable(numbers(BATCH, STEPS, FEATURES))
    layer.build(x.shape)
    layer.set_weights([numbers(*w.shape) for w in layer.get_weights()])
    states = 2 if family == "LSTM" else 1
    initial = [tf.Variable(numbers(BATCH, UNITS)) for _ in range(states)] if stateful else None
    mask = None
    if masked:
        mask = numpy.array([[False, True, False, True], [True, True, True, False], [False, False, False, False]])
    with tf.GradientTape() as tape:
        y, *last = layer(x, mask=None if mask is None else tf.constant(mask), initial_state=initial)
        dy = numbers(*y.shape)
        loss = tf.reduce_sum(y * dy)
    weights = [layer.cell.kernel, layer.cell.recurrent_kernel] + ([layer.cell.bias] if layer.use_bias else [])
    wanted = [x, *weights] + (initial or [])
    gradients = tape.gradient(loss, wanted, unconnected_gradients="zero")
    names = ["input", "kernel", "recurrent_kernel"] + (["bias"] if layer.use_bias else [])
    names += ["h", "c"][: len(initial or [])]
    return {
        "family": family,
        "options": options,
        "x": flat(x),
        "weights": [flat(w) for w in weights],
        "initial": initial and [flat(s) for s in initial],
        "mask": None if mask is None else mask.ravel().tolist(),
        "dy": flat(dy),
        "y": flat(y),
        "last": [flat(s) for s in last],
        "gradients": {name: flat(g) for name, g in zip(names, gradients)},
    }


def main():
    families = [
        ("SimpleRNN", {"activation": "tanh"}),
        ("SimpleRNN", {"activation": "softsign", "use_bias": False}),
        ("GRU", {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}),
        ("GRU", {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "reset_after": False}),
        ("GRU", {"activation": "selu", "recurrent_activation": "softmax", "reset_after": False, "use_bias": False}),
        ("LSTM", {"activation": "tanh", "recurrent_activation": "sigmoid"}),
        ("LSTM", {"activation": "softplus", "recurrent_activation": "hard_sigmoid", "use_bias": False}),
        ("LSTM", {"activation": "elu", "recurrent_activation": "softmax"}),
    ]
    walks = [(False, False, False, False), (True, False, False, False), (True, True, True, False), (False, True, True, True)]
    walks += [(True, False, True, True), (False, False, False, True)]
    cases = []
    for (family, options), (sequences, backwards, masked, stateful) in itertools.product(families, walks):
        options = dict(options, return_sequences=sequences, go_backwards=backwards)
        cases.append(case(family, options, masked, stateful))
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras215.json")
    with open(target, "w") as file:
        shape = {"batch": BATCH, "steps": STEPS, "features": FEATURES, "units": UNITS}
        json.dump({"tensorflow": tf.__version__, **shape, "cases": cases}, file)
        file.write("\n")


main()
