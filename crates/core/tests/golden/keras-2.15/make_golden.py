#!/usr/bin/env python3
"""Writes the golden files beside this script with real Keras 2.15. README.md says what is in them.

    pip install 'tensorflow-cpu==2.15.*'
    python make_golden.py
"""

import json
import math
import os
import pathlib
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # plain summation orders, so that the files come out the same everywhere

import h5py
import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).resolve().parent
ACTIVATIONS = ["linear", "softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid",
               "exponential"]
EPSILON = 1e-7


# ---------------------------------------------------------------- writing

def number(value):
    """A JSON number with as few digits as its type needs; what JSON does not have becomes a text."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return float(str(np.float32(value))) if isinstance(value, np.float32) else float(value)


def tensor(array):
    array = np.asarray(array)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return {"shape": list(array.shape), "values": [number(v) for v in array.reshape(-1)]}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")


# ---------------------------------------------------------------- models in the dialect of Keras 2.3.1

NEWER_KEYS = {"groups", "keepdims", "time_major", "ragged", "zero_output_for_mask", "synchronized",
              "sparse"}


def variance_scaling(mode, distribution):
    return {"class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": mode, "distribution": distribution, "seed": None}}


def older(value):
    """A part of a layer's configuration as Keras 2.3.1 would have written it."""
    if isinstance(value, dict) and "class_name" in value:
        if value["class_name"] == "GlorotUniform":
            return variance_scaling("fan_avg", "uniform")
        return {"class_name": value["class_name"], "config": older(value["config"])}
    if isinstance(value, dict):
        return {key: older(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def older_json(model):
    layers = []
    for layer in model.layers:
        config = {key: older(value) for key, value in layer.get_config().items() if key not in NEWER_KEYS}
        if isinstance(layer, keras.layers.BatchNormalization):
            config["axis"] = -1
        if not layers:
            shape = [None, *model.input_shape[1:]]
            config.pop("batch_input_shape", None)
            head = {key: config.pop(key) for key in ("name", "trainable")}
            config = {**head, "batch_input_shape": shape, **config}
        layers.append({"class_name": type(layer).__name__, "config": config})
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers},
            "keras_version": "2.3.1", "backend": "tensorflow"}


class Names:
    """Automatic names as in a fresh Keras 2.3.1: dense_1, dense_2, ..."""

    def __init__(self):
        self.seen = {}

    def __call__(self, layer):
        base = snake(layer)
        self.seen[base] = self.seen.get(base, 0) + 1
        return f"{base}_{self.seen[base]}"


def snake(name):
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def build(shape, layers):
    names = Names()
    model = keras.Sequential()
    for index, (kind, arguments) in enumerate(layers):
        first = {} if index else {"batch_input_shape": (None, *shape)}
        model.add(getattr(keras.layers, kind)(name=names(kind), **first, **arguments))
    return model


# ---------------------------------------------------------------- cases: name, input shape, layers, loss, kind of input

def cases():
    three = (3,)
    for activation in ACTIVATIONS:
        yield f"dense_{activation}", three, [("Dense", dict(units=4, activation=activation))], "mean_squared_error"
    yield "dense_on_sequence", (3, 2), [("Dense", dict(units=2, use_bias=False))], "mean_squared_error"
    for activation in ("relu", "softmax"):
        yield f"activation_{activation}", three, [("Activation", dict(activation=activation))], "mean_squared_error"

    conv1d = {"valid": dict(), "same": dict(padding="same"), "causal": dict(padding="causal"),
              "strides_same": dict(strides=2, padding="same"), "strides_valid": dict(strides=2),
              "dilation": dict(dilation_rate=2, padding="same"), "even_kernel_same": dict(kernel_size=2, padding="same")}
    for name, arguments in conv1d.items():
        arguments = {"filters": 3, "kernel_size": 3, "activation": "tanh", **arguments}
        yield f"conv1d_{name}", (7, 2), [("Conv1D", arguments)], "mean_squared_error"
    conv2d = {"valid": dict(), "same": dict(padding="same"), "strides_same": dict(strides=(2, 2), padding="same"),
              "strides_valid": dict(strides=(2, 1)), "dilation": dict(dilation_rate=(2, 2)),
              "oblong_kernel_same": dict(kernel_size=(2, 4), padding="same"), "no_bias": dict(use_bias=False)}
    for name, arguments in conv2d.items():
        arguments = {"filters": 3, "kernel_size": (3, 3), "activation": "tanh", **arguments}
        yield f"conv2d_{name}", (6, 5, 2), [("Conv2D", arguments)], "mean_squared_error"

    for kind in ("MaxPooling", "AveragePooling"):
        short = snake(kind + "1D")
        pools1 = {"valid": dict(pool_size=2), "same": dict(pool_size=3, strides=2, padding="same"),
                  "overlapping": dict(pool_size=3, strides=1)}
        for name, arguments in pools1.items():
            yield f"{short}_{name}", (6, 2), [(kind + "1D", arguments)], "mean_squared_error"
        pools2 = {"valid": dict(pool_size=(2, 2)), "same": dict(pool_size=(3, 2), strides=(2, 2), padding="same"),
                  "overlapping": dict(pool_size=(3, 3), strides=(1, 1))}
        for name, arguments in pools2.items():
            yield f"{snake(kind + '2D')}_{name}", (5, 5, 2), [(kind + "2D", arguments)], "mean_squared_error"
    for kind in ("Max", "Average"):
        yield f"global_{kind.lower()}_pooling1d", (5, 3), [(f"Global{kind}Pooling1D", {})], "mean_squared_error"
        yield f"global_{kind.lower()}_pooling2d", (4, 3, 2), [(f"Global{kind}Pooling2D", {})], "mean_squared_error"

    words = ("Embedding", dict(input_dim=7, output_dim=3))
    yield "embedding", (4,), [words], "mean_squared_error"
    yield "embedding_flatten_dense", (4,), [words, ("Flatten", {}), ("Dense", dict(units=2))], "mean_squared_error"
    masked = ("Embedding", dict(input_dim=7, output_dim=3, mask_zero=True))
    yield "embedding_masked_lstm", (6,), [masked, ("LSTM", dict(units=3))], "mean_squared_error"
    yield "embedding_masked_gru_sequences", (6,), [masked, ("GRU", dict(units=2, reset_after=False, return_sequences=True)),
                                                  ("LSTM", dict(units=2))], "mean_squared_error"

    recurrent = {
        "simple_rnn": ("SimpleRNN", dict()),
        "simple_rnn_sequences": ("SimpleRNN", dict(return_sequences=True)),
        "simple_rnn_backwards_relu": ("SimpleRNN", dict(go_backwards=True, activation="relu")),
        "gru": ("GRU", dict(reset_after=False)),
        "gru_reset_after": ("GRU", dict(reset_after=True)),
        "gru_sequences_backwards": ("GRU", dict(reset_after=False, return_sequences=True, go_backwards=True)),
        "gru_hard_sigmoid_no_bias": ("GRU", dict(reset_after=False, recurrent_activation="hard_sigmoid", use_bias=False)),
        "lstm": ("LSTM", dict()),
        "lstm_sequences": ("LSTM", dict(return_sequences=True)),
        "lstm_backwards": ("LSTM", dict(go_backwards=True)),
        "lstm_sequences_backwards": ("LSTM", dict(return_sequences=True, go_backwards=True)),
        "lstm_hard_sigmoid_relu": ("LSTM", dict(recurrent_activation="hard_sigmoid", activation="relu")),
        "lstm_no_bias": ("LSTM", dict(use_bias=False)),
    }
    for name, (kind, arguments) in recurrent.items():
        yield name, (5, 2), [(kind, dict(units=3, **arguments))], "mean_squared_error"

    yield "batch_normalization", (3,), [("BatchNormalization", {})], "mean_squared_error"
    yield "batch_normalization_images", (3, 2, 2), [("BatchNormalization", dict(momentum=0.9, epsilon=0.01))], \
        "mean_squared_error"
    yield "batch_normalization_plain", (3,), [("BatchNormalization", dict(center=False, scale=False))], \
        "mean_squared_error"
    yield "dropout", (4,), [("Dropout", dict(rate=0.5))], "mean_squared_error"
    yield "flatten", (2, 3, 2), [("Flatten", {})], "mean_squared_error"
    yield "reshape", (6,), [("Reshape", dict(target_shape=(3, 2)))], "mean_squared_error"

    yield "intro_like", (12,), [("Dense", dict(units=4, activation="elu")), ("Dense", dict(units=4, activation="elu")),
                                ("Dense", dict(units=1, activation="sigmoid"))], "binary_crossentropy"
    yield "rnn_like", (9,), [("Embedding", dict(input_dim=20, output_dim=5)), ("LSTM", dict(units=4)),
                             ("Dense", dict(units=1, activation="sigmoid"))], "binary_crossentropy"
    yield "cnn_like", (64,), [
        ("Reshape", dict(target_shape=(8, 8, 1))),
        ("Conv2D", dict(filters=4, kernel_size=(3, 3), activation="relu", padding="same")),
        ("MaxPooling2D", dict(pool_size=(2, 2))),
        ("Conv2D", dict(filters=3, kernel_size=(3, 3), activation="relu")),
        ("MaxPooling2D", dict(pool_size=(2, 2))),
        ("Flatten", {}),
        ("Dense", dict(units=3, activation="softmax")),
    ], "categorical_crossentropy"


RANDOM_IN_TRAINING = {"dropout"}


def data(rng, model, shape, loss):
    rows = 4
    first = model.layers[0]
    if isinstance(first, keras.layers.Embedding):
        x = rng.integers(1, first.input_dim, size=(rows, *shape))
        for row in range(rows):  # padded in front, each row differently
            x[row, :row] = 0
        x = x.astype(np.int32)
    else:
        x = rng.normal(size=(rows, *shape)).astype(np.float32)
    outputs = model(x).shape[1:]
    if loss == "binary_crossentropy":
        y = (np.arange(rows) % 2).reshape(rows, 1).astype(np.float32)
    elif loss == "categorical_crossentropy":
        y = np.eye(outputs[-1], dtype=np.float32)[np.arange(rows) % outputs[-1]]
    else:
        y = rng.normal(size=(rows, *outputs)).astype(np.float32)
    return x, y


def randomise(rng, model):
    """Weights that no layer starts with, so that biases, gates and moving statistics all matter."""
    new = []
    for weight in model.weights:
        value = rng.normal(scale=0.5, size=weight.shape)
        if "variance" in weight.name:
            value = np.abs(value) + 0.5
        new.append(value.astype(np.float32))
    model.set_weights(new)


def weights_of(model):
    return [{"name": w.name, **tensor(w.numpy())} for w in model.weights]


def make_case(name, shape, layers, loss):
    rng = np.random.default_rng(sum(map(ord, name)))
    keras.backend.clear_session()
    model = build(shape, layers)
    randomise(rng, model)
    x, y = data(rng, model, shape, loss)
    start = model.get_weights()
    model.save_weights(str(HERE / f"{name}.h5"), save_format="h5")
    result = {"model": older_json(model), "input": tensor(x), "prediction": tensor(model.predict(x, verbose=0))}

    # The JSON and the weights must lead real Keras to the same prediction.
    again = keras.models.model_from_json(json.dumps(result["model"]))
    again.load_weights(str(HERE / f"{name}.h5"))
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))

    if name not in RANDOM_IN_TRAINING:
        training = {"loss": loss, "target": tensor(y)}
        function = keras.losses.get(loss)
        with tf.GradientTape() as tape:
            inputs = tf.constant(x)
            if x.dtype == np.float32:
                tape.watch(inputs)
            value = tf.reduce_mean(function(tf.constant(y), model(inputs, training=True)))
        sources = list(model.trainable_weights) + ([inputs] if x.dtype == np.float32 else [])
        gradients = tape.gradient(value, sources)
        gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
        training["loss_value"] = number(value.numpy())
        training["gradients"] = [{"name": w.name, **tensor(g)} for w, g in zip(model.trainable_weights, gradients)]
        if x.dtype == np.float32:
            training["input_gradient"] = tensor(gradients[-1])
        if model.trainable_weights:
            for label, optimizer, steps in (
                ("after_1_sgd_step", keras.optimizers.legacy.SGD(0.1), 1),
                ("after_5_adam_steps", keras.optimizers.legacy.Adam(0.01), 5),
            ):
                model.set_weights(start)
                model.compile(loss=loss, optimizer=optimizer)
                losses = [number(np.float32(model.train_on_batch(x, y))) for _ in range(steps)]
                training[label] = {"losses": losses, "weights": weights_of(model)}
        result["training"] = training
    write(f"{name}.json", result)


# ---------------------------------------------------------------- optimisers

def optimizers():
    legacy = keras.optimizers.legacy
    adaptive = dict(epsilon=EPSILON)
    for options in (dict(), dict(momentum=0.9), dict(momentum=0.9, nesterov=True), dict(decay=0.1),
                    dict(momentum=0.5, nesterov=True, decay=0.05), dict(clipvalue=0.5), dict(global_clipnorm=0.7)):
        yield legacy.SGD, "SGD", dict(learning_rate=0.1, **options)
    for options in (dict(), dict(rho=0.5), dict(decay=0.1), dict(epsilon=0.1), dict(centered=True),
                    dict(momentum=0.9), dict(momentum=0.9, centered=True, rho=0.8, epsilon=0.01)):
        yield legacy.RMSprop, "RMSprop", dict(learning_rate=0.01, **{**adaptive, **options})
    for options in (dict(), dict(decay=0.1), dict(epsilon=0.1), dict(initial_accumulator_value=0.1)):
        options = {**adaptive, "initial_accumulator_value": 0.0, **options}
        yield legacy.Adagrad, "Adagrad", dict(learning_rate=0.1, **options)
    for options in (dict(), dict(rho=0.5), dict(decay=0.1), dict(epsilon=0.1)):
        yield legacy.Adadelta, "Adadelta", dict(learning_rate=1.0, **{**adaptive, **options})
    for options in (dict(), dict(beta_1=0.5, beta_2=0.8), dict(decay=0.1), dict(amsgrad=True), dict(epsilon=0.1),
                    dict(global_clipnorm=0.1)):
        yield legacy.Adam, "Adam", dict(learning_rate=0.1, **{**adaptive, **options})
    for options in (dict(), dict(beta_1=0.5, beta_2=0.8), dict(decay=0.1), dict(epsilon=0.1)):
        yield legacy.Adamax, "Adamax", dict(learning_rate=0.1, **{**adaptive, **options})
    for options in (dict(), dict(beta_1=0.5, beta_2=0.8), dict(schedule_decay=0.1), dict(epsilon=0.1)):
        yield legacy.Nadam, "Nadam", dict(learning_rate=0.1, **{**adaptive, **options})


def make_optimizers():
    start = [np.array([[1.0, -2.0], [0.5, 3.0]], np.float32), np.array([0.25, -0.75, 0.0], np.float32)]
    # The same gradients in every run, among them zeros and a sign that flips.
    rng = np.random.default_rng(7)
    gradients = [[rng.normal(size=w.shape).astype(np.float32) for w in start] for _ in range(5)]
    for step in gradients:
        step[1][2] = 0.0
    runs = []
    for make, name, options in optimizers():
        optimizer = make(**options)
        weights = [tf.Variable(w) for w in start]
        after = []
        for step in gradients:
            optimizer.apply_gradients(zip([tf.constant(g) for g in step], weights))
            after.append([tensor(w.numpy()) for w in weights])
        # Keras 2.3.1 clips by the norm of all gradients together and calls that clipnorm.
        if "global_clipnorm" in options:
            options["clipnorm"] = options.pop("global_clipnorm")
        runs.append({"name": name, "options": options, "after": after})
    write("optimizers.json", {"start": [tensor(w) for w in start],
                              "gradients": [[tensor(g) for g in step] for step in gradients], "runs": runs})


# ---------------------------------------------------------------- losses and metrics

def vectors():
    rng = np.random.default_rng(11)
    one_hot = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    softmax = rng.dirichlet(np.ones(3), size=4).astype(np.float32)
    yield "probabilities", one_hot, softmax
    yield "certain", one_hot, np.eye(3, dtype=np.float32)[[0, 2, 0, 1]]
    yield "not_normalised", one_hot, rng.uniform(0.1, 3.0, size=(4, 3)).astype(np.float32)
    yield "one_unit", np.array([[0], [1], [1], [0]], np.float32), np.array([[0.0], [1.0], [0.5], [0.75]], np.float32)
    yield "real", rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    yield "zeros_and_ones", np.array([[0, 0], [1, 1], [0, 1]], np.float32), np.array([[0, 1], [1, 1], [0, 0]], np.float32)
    yield "large", np.array([[1000, -1000]], np.float32), np.array([[-1000, 500]], np.float32)


LOSSES = ["binary_crossentropy", "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
          "mean_squared_logarithmic_error", "squared_hinge", "hinge", "categorical_hinge", "logcosh",
          "categorical_crossentropy", "sparse_categorical_crossentropy", "kullback_leibler_divergence", "poisson",
          "cosine_proximity"]
METRICS = ["binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "mse", "mae", "mape",
           "cosine_proximity"]


def make_losses():
    functions = {name: getattr(keras.losses, name, None) for name in LOSSES}
    functions["logcosh"] = keras.losses.log_cosh
    functions["cosine_proximity"] = keras.losses.cosine_similarity
    sets = []
    for name, truth, prediction in vectors():
        entry = {"name": name, "target": tensor(truth), "output": tensor(prediction), "losses": {}, "gradients": {},
                 "metrics": {}}
        for loss in LOSSES:
            target = truth
            if loss == "sparse_categorical_crossentropy":
                if truth.shape[1] != 3:
                    continue
                target = truth.argmax(axis=1).astype(np.int32)
            output = tf.constant(prediction)
            with tf.GradientTape() as tape:
                tape.watch(output)
                values = functions[loss](tf.constant(target), output)
                mean = tf.reduce_mean(values)
            entry["losses"][loss] = tensor(values.numpy())
            entry["gradients"][loss] = tensor(tape.gradient(mean, output).numpy())
        for metric in METRICS:
            target = truth
            if metric == "sparse_categorical_accuracy":
                if truth.shape[1] != 3:
                    continue
                target = truth.argmax(axis=1).astype(np.float32).reshape(-1, 1)
            if metric == "cosine_proximity":
                values = -keras.losses.cosine_similarity(target, prediction)
            else:
                values = keras.metrics.get(metric)(target, prediction)
            entry["metrics"][metric] = tensor(np.asarray(values, np.float32))
        sets.append(entry)
    write("losses.json", sets)


# ---------------------------------------------------------------- callbacks

class FakeModel:
    """What callbacks touch of a model."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = keras.optimizers.legacy.SGD(0.1)
        self.epoch = None
        self.restored = None

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.restored = weights


def courses():
    rng = np.random.default_rng(3)
    falling = [1.0, 0.8, 0.7, 0.65, 0.64, 0.639, 0.6389, 0.63889]
    yield falling
    yield falling[::-1]
    yield [0.5] * 6
    yield [0.5, 0.4, 0.45, 0.39, 0.42, 0.41, 0.43, 0.2, 0.3, 0.31, 0.32, 0.33]
    yield [float("nan")] * 4
    yield [0.5, float("nan"), 0.4, float("nan"), float("nan"), 0.3]
    yield [float("inf"), 1.0, 2.0, 3.0]
    for _ in range(3):
        yield [round(float(v), 3) for v in np.abs(rng.normal(size=14))]


def make_callbacks():
    runs = []
    stopping = [dict(), dict(patience=2), dict(patience=1, min_delta=0.05), dict(patience=2, restore_best_weights=True),
                dict(mode="max", patience=1), dict(baseline=0.45, patience=2),
                dict(baseline=0.1, patience=3, restore_best_weights=True), dict(restore_best_weights=True)]
    for options in stopping:
        for values in courses():
            callback, model = keras.callbacks.EarlyStopping(**options), FakeModel()
            callback.set_model(model)
            callback.on_train_begin()
            for epoch, value in enumerate(values):
                model.epoch = epoch
                callback.on_epoch_end(epoch, {"val_loss": value})
                if model.stop_training:
                    break
            runs.append({"callback_type": "EarlyStopping", "options": options, "values": [number(v) for v in values],
                         "stopped_after": epoch if model.stop_training else None, "restored": model.restored})
    reducing = [dict(patience=2), dict(patience=1, factor=0.5), dict(patience=1, cooldown=2), dict(patience=0, min_lr=0.02),
                dict(patience=1, min_delta=0.05), dict(patience=1, mode="max", factor=0.3)]
    for options in reducing:
        for values in courses():
            callback, model = keras.callbacks.ReduceLROnPlateau(**options), FakeModel()
            callback.set_model(model)
            callback.on_train_begin()
            rates = []
            for epoch, value in enumerate(values):
                callback.on_epoch_end(epoch, {"val_loss": value})
                rates.append(number(np.float32(model.optimizer.lr.numpy())))
            runs.append({"callback_type": "ReduceLROnPlateau", "options": options, "values": [number(v) for v in values],
                         "learning_rates": rates})
    write("callbacks.json", runs)


# ---------------------------------------------------------------- files that are weights too

def make_other_files():
    """The same two-layer model in the other shapes that Keras and h5py give to weights."""
    keras.backend.clear_session()
    model = build((3,), [("Dense", dict(units=2)), ("Activation", dict(activation="relu")), ("Dense", dict(units=1))])
    values = [np.arange(6, dtype=np.float32).reshape(3, 2) / 4, np.array([1.0, -2.0], np.float32),
              np.array([[0.5], [0.25]], np.float32), np.array([8.0], np.float32)]
    model.set_weights(values)
    model.compile("adam", "mse")
    model.save(str(HERE / "file_whole_model.h5"), save_format="h5")

    def older_layout(name, layout=None, dtype=np.float32, split=False, **storage):
        """As Keras 2.3.1: fixed-length names, no group for weights of the model itself."""
        with h5py.File(HERE / name, "w") as file:
            names = [b"dense_1", b"activation_1", b"dense_2"]
            if split:
                file.attrs["layer_names0"], file.attrs["layer_names1"] = np.array(names[:2]), np.array(names[2:])
            else:
                file.attrs["layer_names"] = np.array(names)
            file.attrs["backend"], file.attrs["keras_version"] = np.bytes_(b"tensorflow"), np.bytes_(b"2.3.1")
            rest = iter(values)
            for layer in names:
                group = file.create_group(layer.decode())
                if layer.startswith(b"act"):
                    group.attrs["weight_names"] = np.array([])
                    continue
                weights = [layer + b"/kernel:0", layer + b"/bias:0"]
                group.attrs["weight_names"] = np.array(weights)
                for weight in weights:
                    group.create_dataset(weight.decode(), data=next(rest).astype(dtype), **storage)

    older_layout("file_fixed_length_names.h5")
    older_layout("file_split_names.h5", split=True)
    older_layout("file_half.h5", dtype=np.float16)
    older_layout("file_double_big_endian.h5", dtype=">f8")
    older_layout("file_compressed.h5", compression="gzip", shuffle=True, chunks=True)


def make_refused_files():
    """Files with what a weights file does not need and a stranger's file may have. All are tiny."""

    def weights_file(name, make_kernel):
        with h5py.File(HERE / f"refused_{name}.h5", "w") as file:
            file.attrs["layer_names"] = np.array([b"dense_1"])
            layer = file.create_group("dense_1")
            layer.attrs["weight_names"] = np.array([b"dense_1/kernel:0"])
            make_kernel(file, layer.create_group("dense_1"))

    def virtual(file, group):
        layout = h5py.VirtualLayout(shape=(3,), dtype="f4")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "data", shape=(3,))
        group.create_virtual_dataset("kernel:0", layout)

    def soft_link(file, group):
        file.create_dataset("hidden", data=np.zeros(3, np.float32))
        group["kernel:0"] = h5py.SoftLink("/hidden")

    def external_link(file, group):
        group["kernel:0"] = h5py.ExternalLink("elsewhere.h5", "/data")

    weights_file("soft_link", soft_link)
    weights_file("external_link", external_link)
    weights_file("external_storage",
                 lambda _, group: group.create_dataset("kernel:0", (3,), "f4", external=[("/etc/hostname", 0, 12)]))
    weights_file("virtual", virtual)
    weights_file("terabytes", lambda _, group: group.create_dataset(
        "kernel:0", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip"))
    weights_file("terabyte_chunk", lambda _, group: group.create_dataset(
        "kernel:0", (3,), "f4", chunks=(10**9,), maxshape=(None,), compression="gzip"))
    weights_file("unwritten", lambda _, group: group.create_dataset("kernel:0", (3,), "f4"))
    weights_file("integers", lambda _, group: group.create_dataset("kernel:0", data=np.arange(3)))
    with h5py.File(HERE / "refused_external_link_to_layer.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"dense_1"])
        file["dense_1"] = h5py.ExternalLink("elsewhere.h5", "/dense_1")


def main():
    for old in [*HERE.glob("*.json"), *HERE.glob("*.h5")]:
        old.unlink()
    keras.utils.disable_interactive_logging()
    for case in cases():
        make_case(*case)
    make_optimizers()
    make_losses()
    make_callbacks()
    make_other_files()
    make_refused_files()
    total = sum(path.stat().st_size for path in HERE.iterdir())
    print(f"{len(list(HERE.glob('*.json')))} JSON files, {total / 1e6:.2f} MB, Keras {keras.__version__}")


if __name__ == "__main__":
    main()
