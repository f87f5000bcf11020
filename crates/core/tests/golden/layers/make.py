#!/usr/bin/env python3
"""Writes the golden files beside this script with real Keras 2.15: layers that `../keras-2.15` has not, each with its options.

    pip install 'tensorflow-cpu==2.15.*'
    python make.py

One file a family, a list of cases: a small model in the dialect of Keras 2.3.1, its weights (random, so that every bias and every gate
matters), two rows of input and what `predict` makes of them; then a loss in training mode, its target and value, the gradients of the
weights and of the input, and all weights after one step of SGD(0.1) and after five of Adam(0.01), from the same weights. Tensors,
dialect and training are those of `../keras-2.15/make_golden.py`.

On a CPU TensorFlow computes most layers with `channels_last` only. For `channels_first` those run as `channels_last` in Keras, with
inputs, outputs and gradients turned to what the layer would have seen. `CuDNNGRU` and `CuDNNLSTM` run as the plain layers that they
equal, their kernels as Keras's own `load_weights` turns them into cuDNN's; the second one's bias is in two parts, whose gradients are both
that of the sum (and only gradients are compared, as Adam moves two parts twice as far).
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "keras-2.15"))

from make_golden import Names, number, older, randomise, tensor, weights_of  # first: it sets TensorFlow up

import keras
import numpy as np
import tensorflow as tf

L = keras.layers
NEWER = {"groups", "keepdims", "time_major", "ragged", "zero_output_for_mask", "synchronized"}
DROPPED = {"LocallyConnected1D": {"implementation", "data_format"}, "LocallyConnected2D": {"implementation"},
           "Conv3DTranspose": {"dilation_rate"}}


def config_of(layer):
    name = type(layer).__name__
    dropped = NEWER | DROPPED.get(name, set())
    if name != "InputLayer":
        dropped = dropped | {"sparse"}
    return {key: plain(older(value)) for key, value in layer.get_config().items() if key not in dropped}


def plain(value):
    """Keras keeps some numbers as arrays of one 32-bit float, and 2.3.1 writes them with all digits of a 64-bit one."""
    return float(value) if isinstance(value, (np.ndarray, np.floating)) else value


def sequential_json(model):
    layers = []
    for layer in model.layers:
        config = config_of(layer)
        if not layers:
            config.pop("batch_input_shape", None)
            head = {key: config.pop(key) for key in ("name", "trainable")}
            config = {**head, "batch_input_shape": list(model.input_shape), **config}
        layers.append({"class_name": type(layer).__name__, "config": config})
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers},
            "keras_version": "2.3.1", "backend": "tensorflow"}


def functional_json(model):
    config = model.get_config()
    layers = [{"name": layer.name, "class_name": type(layer).__name__, "config": config_of(layer),
               "inbound_nodes": older_nodes(entry["inbound_nodes"])}
              for layer, entry in zip(model.layers, config["layers"])]
    return {"class_name": "Model", "config": {"name": "model_1", "layers": layers, "input_layers": config["input_layers"],
                                              "output_layers": config["output_layers"]},
            "keras_version": "2.3.1", "backend": "tensorflow"}


def older_nodes(nodes):
    """Keras 2.15 writes a single input without the list around it."""
    return [node if isinstance(node[0], list) else [node] for node in nodes]


def chain(shape, *layers, batch=None):
    names = Names()
    model = keras.Sequential()
    for index, (kind, arguments) in enumerate(layers):
        first = {} if index else {"batch_input_shape": (batch, *shape)}
        model.add(getattr(L, kind)(name=names(kind), **first, **arguments))
    return model


def graph(shape, make):
    names = Names()

    def layer(kind, inputs, **arguments):
        return getattr(L, kind)(name=names(kind), **arguments)(inputs)

    start = keras.Input(shape, name="input_1")
    return keras.Model(start, make(layer, start), name="model_1")


# ---------------------------------------------------------------- cases: name, model, options

def convolution():
    base = dict(filters=3, kernel_size=(2, 3, 2), activation="tanh")
    for name, options in {"valid": {}, "same": dict(padding="same"), "strides": dict(strides=(2, 1, 2), padding="same"),
                          "dilation": dict(dilation_rate=(1, 2, 1), padding="same", use_bias=False)}.items():
        yield f"conv3d_{name}", chain((3, 4, 3, 2), ("Conv3D", {**base, **options})), {}
    yield "conv2d_channels_first", chain((5, 4, 2), ("Conv2D", dict(filters=3, kernel_size=3, padding="same"))), dict(first=True)
    yield "conv3d_channels_first", chain((3, 4, 3, 2), ("Conv3D", base)), dict(first=True)

    base = dict(kernel_size=3, activation="tanh")
    for name, options in {"valid": {}, "same": dict(padding="same"), "strides": dict(strides=2, padding="same"),
                          "multiplier": dict(depth_multiplier=2), "dilation": dict(dilation_rate=2, padding="same", use_bias=False),
                          }.items():
        yield f"depthwise_conv2d_{name}", chain((6, 5, 3), ("DepthwiseConv2D", {**base, **options})), {}
        yield f"separable_conv2d_{name}", chain((6, 5, 3), ("SeparableConv2D", dict(filters=2, **{**base, **options}))), {}
    yield "depthwise_conv2d_channels_first", chain((6, 5, 3), ("DepthwiseConv2D", base)), dict(first=True)
    yield "separable_conv2d_channels_first", chain((6, 5, 3), ("SeparableConv2D", dict(filters=2, **base))), dict(first=True)
    for name, options in {"valid": {}, "same": dict(padding="same"), "strides": dict(strides=2),
                          "causal": dict(padding="causal", dilation_rate=2), "multiplier": dict(depth_multiplier=3, use_bias=False),
                          }.items():
        yield f"separable_conv1d_{name}", chain((7, 2), ("SeparableConv1D", dict(filters=3, **{**base, **options}))), {}

    base = dict(filters=2, kernel_size=(3, 2), activation="tanh")
    for name, options in {"valid": {}, "same": dict(padding="same"), "strides": dict(strides=(2, 3)),
                          "strides_same": dict(strides=(2, 3), padding="same"), "dilation": dict(dilation_rate=(2, 2), use_bias=False),
                          "output_padding": dict(strides=(2, 3), output_padding=(1, 0)),
                          "output_padding_same": dict(kernel_size=3, strides=2, padding="same", output_padding=1)}.items():
        yield f"conv2d_transpose_{name}", chain((3, 4, 3), ("Conv2DTranspose", {**base, **options})), {}
    yield "conv2d_transpose_channels_first", chain((3, 4, 3), ("Conv2DTranspose", dict(strides=2, **base))), dict(first=True)
    base = dict(filters=2, kernel_size=(2, 3, 2))
    for name, options in {"valid": {}, "strides_same": dict(strides=2, padding="same"),
                          "output_padding": dict(strides=(2, 2, 2), output_padding=(1, 0, 1))}.items():
        yield f"conv3d_transpose_{name}", chain((2, 3, 2, 2), ("Conv3DTranspose", {**base, **options})), {}
    yield "conv3d_transpose_channels_first", chain((2, 3, 2, 2), ("Conv3DTranspose", dict(strides=2, **base))), dict(first=True)

    yield "locally_connected1d", chain((7, 2), ("LocallyConnected1D", dict(filters=3, kernel_size=3, activation="tanh"))), {}
    yield "locally_connected1d_strides", chain((7, 2), ("LocallyConnected1D", dict(filters=2, kernel_size=2, strides=2,
                                                                                 use_bias=False))), {}
    yield "locally_connected2d", chain((4, 5, 2), ("LocallyConnected2D", dict(filters=3, kernel_size=(2, 3), activation="tanh"))), {}
    yield "locally_connected2d_strides", chain((5, 5, 2), ("LocallyConnected2D", dict(filters=2, kernel_size=2, strides=(2, 3)))), {}
    yield "locally_connected2d_channels_first", chain((2, 4, 3), ("LocallyConnected2D", dict(
        filters=2, kernel_size=(2, 2), data_format="channels_first"))), {}


def shape():
    yield "permute", chain((2, 3, 2), ("Permute", dict(dims=(3, 1, 2))), ("Dense", dict(units=2))), {}
    yield "repeat_vector", chain((3,), ("RepeatVector", dict(n=4)), ("GRU", dict(units=2, reset_after=False))), {}
    for kind, argument, one, two, three in (("Cropping", "cropping", (1, 2), ((1, 0), (0, 2)), ((0, 1), (1, 0), (1, 1))),
                                            ("ZeroPadding", "padding", (2, 1), ((1, 0), (2, 1)), ((0, 1), (2, 0), (1, 1)))):
        yield f"{kind.lower()}1d", chain((5, 2), (f"{kind}1D", {argument: one})), {}
        yield f"{kind.lower()}2d", chain((3, 4, 2), (f"{kind}2D", {argument: two})), {}
        yield f"{kind.lower()}3d", chain((2, 3, 4, 2), (f"{kind}3D", {argument: three})), {}
        yield f"{kind.lower()}2d_first", chain((2, 3, 4), (f"{kind}2D", {argument: two, "data_format": "channels_first"})), {}
        yield f"{kind.lower()}3d_first", chain((2, 2, 3, 4), (f"{kind}3D", {argument: three, "data_format": "channels_first"})), {}
    yield "up_sampling1d", chain((3, 2), ("UpSampling1D", dict(size=3))), {}
    yield "up_sampling2d", chain((2, 3, 2), ("UpSampling2D", dict(size=(3, 2)))), {}
    yield "up_sampling2d_bilinear", chain((3, 2, 2), ("UpSampling2D", dict(size=(2, 3), interpolation="bilinear"))), {}
    yield "up_sampling2d_first", chain((2, 2, 3), ("UpSampling2D", dict(size=(3, 2), data_format="channels_first"))), {}
    yield "up_sampling3d", chain((2, 1, 2, 2), ("UpSampling3D", dict(size=(1, 3, 2)))), {}
    yield "up_sampling3d_first", chain((2, 2, 1, 2), ("UpSampling3D", dict(size=(1, 3, 2), data_format="channels_first"))), {}
    for kind in ("Max", "Average"):
        yield f"{kind.lower()}_pooling3d", chain((3, 4, 3, 2), (f"{kind}Pooling3D", dict(pool_size=(2, 2, 1)))), {}
        yield f"{kind.lower()}_pooling3d_same", chain((3, 4, 3, 2), (f"{kind}Pooling3D", dict(
            pool_size=2, strides=(1, 2, 3), padding="same"))), {}
        yield f"{kind.lower()}_pooling3d_first", chain((4, 4, 2, 2), (f"{kind}Pooling3D", dict(pool_size=2))), dict(first=True)
        yield f"{kind.lower()}_pooling2d_first", chain((4, 4, 2), (f"{kind}Pooling2D", dict(pool_size=2))), dict(first=True)
        yield f"global_{kind.lower()}_pooling3d", chain((2, 3, 2, 2), (f"Global{kind}Pooling3D", {})), {}
        yield f"global_{kind.lower()}_pooling3d_first", chain((2, 3, 2, 2), (
            f"Global{kind}Pooling3D", dict(data_format="channels_first"))), {}


def activation():
    for alpha in (0.3, 0.0):
        yield f"leaky_relu_{alpha}", chain((5,), ("LeakyReLU", dict(alpha=alpha))), {}
    yield "p_relu", chain((2, 3), ("PReLU", {})), {}
    yield "p_relu_shared", chain((2, 3, 2), ("PReLU", dict(shared_axes=[1, 2]))), {}
    yield "p_relu_shared_first", chain((2, 3, 2), ("PReLU", dict(shared_axes=[1]))), {}
    yield "elu", chain((6,), ("ELU", dict(alpha=1.5))), {}
    yield "thresholded_relu", chain((8,), ("ThresholdedReLU", dict(theta=0.5))), {}
    yield "softmax", chain((2, 3), ("Softmax", {})), {}
    yield "softmax_axis", chain((3, 2, 2), ("Softmax", dict(axis=1))), {}
    for name, options in {"plain": {}, "six": dict(max_value=6.0), "clipped": dict(max_value=0.5),
                          "slope": dict(negative_slope=0.2), "threshold": dict(threshold=0.4),
                          "all": dict(max_value=0.9, negative_slope=0.1, threshold=0.3)}.items():
        yield f"relu_{name}", chain((9,), ("ReLU", options)), {}
    yield "activity_regularization", chain((4,), ("Dense", dict(units=3)), ("ActivityRegularization", dict(l1=0.1, l2=0.2))), {}
    for kind, arguments in (("GaussianNoise", dict(stddev=0.3)), ("GaussianDropout", dict(rate=0.3)), ("AlphaDropout", dict(rate=0.3)),
                            ("SpatialDropout1D", dict(rate=0.3))):
        yield f"no_{kind}_in_prediction", chain((3, 2), (kind, arguments), ("Dense", dict(units=2))), dict(random=True)


def recurrent():
    base = dict(filters=2, kernel_size=(2, 3))
    for name, options in {"plain": {}, "same": dict(padding="same", return_sequences=True), "strides": dict(strides=(1, 2)),
                          "dilation": dict(dilation_rate=2, padding="same", use_bias=False),
                          "backwards": dict(go_backwards=True, return_sequences=True),
                          "sigmoid_relu": dict(recurrent_activation="sigmoid", activation="relu"),
                          "channels_first": dict(data_format="channels_first", return_sequences=True),
                          "channels_first_last_output": dict(data_format="channels_first")}.items():
        shape = (3, 2, 4, 3) if "data_format" in options else (3, 4, 3, 2)
        yield f"conv_lstm2d_{name}", chain(shape, ("ConvLSTM2D", {**base, **options})), {}
    for name, options in {"plain": {}, "sequences_backwards": dict(return_sequences=True, go_backwards=True)}.items():
        yield f"cudnn_gru_{name}", chain((4, 3), ("GRU", dict(units=2, reset_after=True, **options))), dict(cudnn="CuDNNGRU")
        yield f"cudnn_lstm_{name}", chain((4, 3), ("LSTM", dict(units=2, **options))), dict(cudnn="CuDNNLSTM")
    for kind in ("SimpleRNN", "GRU", "LSTM"):
        options = dict(reset_after=False) if kind == "GRU" else {}
        yield f"masking_{kind}", chain((4, 3), ("Masking", dict(mask_value=0.5)), (kind, dict(units=2, **options))), dict(masked=0.5)
        yield f"masking_dropout_dense_{kind}", chain(
            (4, 3), ("Masking", {}), ("Dropout", dict(rate=0.0)), ("Dense", dict(units=2, activation="tanh")), ("LeakyReLU", {}),
            (kind, dict(units=2, return_sequences=True, go_backwards=True, unroll=True, **options)), ("GlobalAveragePooling1D", {}),
        ), dict(masked=0.0)
    yield "lstm_implementation_1", chain((4, 3), ("LSTM", dict(units=2, implementation=1))), {}
    yield "masking_global_average", chain((4, 2), ("Masking", {}), ("GlobalAveragePooling1D", {})), dict(masked=0.0)


def merge():
    def both(kind, **options):
        def make(layer, x):
            a, b = layer("Dense", x, units=3, activation="tanh"), layer("Dense", x, units=3)
            return layer(kind, [a, b], **options)
        return make

    for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        yield kind.lower(), graph((4,), both(kind)), {}
    yield "concatenate", graph((4,), both("Concatenate")), {}

    def many(kind):
        def make(layer, x):
            return layer(kind, [layer("Dense", x, units=2, activation="tanh") for _ in range(7)])
        return make

    for kind in ("Add", "Average", "Maximum", "Concatenate"):
        yield f"{kind.lower()}_of_seven", graph((3,), many(kind)), {}

    def repeated(kind):
        def make(layer, x):
            a = layer("Dense", x, units=2)
            b = layer("Dense", layer("GlobalAveragePooling1D", x), units=2)
            c = layer("Dense", x, units=1)
            return layer(kind, [a, layer("RepeatVector", b, n=1), c])
        return make

    for kind in ("Add", "Multiply", "Minimum"):
        yield f"{kind.lower()}_repeats", graph((3, 2), repeated(kind)), {}

    def axes(axis):
        def make(layer, x):
            return layer("Concatenate", [layer("Conv1D", x, filters=2, kernel_size=1), x], axis=axis)
        return make

    for axis in (1, 2, -1, -2):
        yield f"concatenate_axis_{axis}", graph((3, 2), axes(axis)), {}

    def dots(first, second, **options):
        def make(layer, x):
            a = layer("Reshape", layer("Dense", x, units=int(np.prod(first)), activation="tanh"), target_shape=first)
            b = layer("Reshape", layer("Dense", x, units=int(np.prod(second))), target_shape=second)
            return layer("Dot", [a, b], **options)
        return make

    for name, (first, second, options) in {
        "vectors": ((3,), (3,), dict(axes=1)), "cosines": ((3,), (3,), dict(axes=-1, normalize=True)),
        "matrices": ((2, 3), (4, 3), dict(axes=2)), "axes": ((2, 3), (3, 2), dict(axes=(1, 2))),
        "normalized_axes": ((2, 3), (3, 4), dict(axes=(2, 1), normalize=True)), "mixed": ((2, 3), (3,), dict(axes=(2, 1))),
    }.items():
        yield f"dot_{name}", graph((3,), dots(first, second, **options)), {}

    def shared(layer, x):
        a = layer("Dense", x, units=3, activation="relu")
        b = layer("Dense", a, units=3, activation="tanh")
        c = layer("Add", [a, b, a])
        return layer("Dense", layer("Concatenate", [c, a, x]), units=2)

    yield "output_used_twice", graph((4,), shared), {}

    def residual(layer, x):
        a = layer("Conv2D", x, filters=2, kernel_size=3, padding="same", activation="relu")
        pooled = layer("MaxPooling2D", a)
        b = layer("Conv2D", a, filters=2, kernel_size=1, strides=2)
        return layer("Flatten", layer("Add", [pooled, b]))

    yield "residual", graph((4, 4, 2), residual), {}

    def masks(kind, **options):
        def make(layer, x):
            a = layer("Masking", x, mask_value=0.5)
            b = layer("Dense", layer("Masking", x, mask_value=0.0), units=2)
            return layer("LSTM", layer(kind, [a, b], **options), units=2)
        return make

    yield "add_masks", graph((4, 2), masks("Add")), dict(masked=0.5)
    yield "concatenate_masks", graph((4, 2), masks("Concatenate")), dict(masked=0.5)
    yield "concatenate_masks_steps", graph((4, 2), masks("Concatenate", axis=1)), dict(masked=0.5)


# ---------------------------------------------------------------- what Keras makes of them

def rows(rng, model, masked):
    shape = model.input_shape[1:]
    x = rng.normal(size=(2, *shape)).astype(np.float32)
    if masked is not None:
        x[0, -1] = masked
        x[1, 0] = masked
        x[1, 2:] = masked
        x[0, 1] = 0.0
    return x


def train(model, x, y, start, optimizer, steps):
    model.set_weights(start)
    model.compile(loss="mse", optimizer=optimizer)
    for _ in range(steps):
        model.train_on_batch(x, y)
    return weights_of(model)


def make_case(name, model, options):
    rng = np.random.default_rng(sum(map(ord, name)))
    randomise(rng, model)
    x = rows(rng, model, options.get("masked"))
    start = model.get_weights()
    functional = not isinstance(model, keras.Sequential)
    described = functional_json(model) if functional else sequential_json(model)
    y = rng.normal(size=model(x).shape).astype(np.float32)
    result = {"name": name, "model": described, "input": tensor(x), "weights": weights_of(model),
              "prediction": tensor(model.predict(x, verbose=0))}
    if not options.get("random"):
        with tf.GradientTape() as tape:
            inputs = tf.constant(x)
            tape.watch(inputs)
            output = model(inputs, training=True)
            loss = tf.reduce_mean(tf.square(output - y)) + sum(model.losses)
        gradients = tape.gradient(loss, [*model.trainable_weights, inputs])
        gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
        result |= {"target": tensor(y), "loss": number(loss.numpy()), "gradients": [tensor(g) for g in gradients[:-1]],
                   "input_gradient": tensor(gradients[-1])}
        if model.trainable_weights:
            legacy = keras.optimizers.legacy
            result["sgd"] = train(model, x, y, start, legacy.SGD(0.1), 1)
            result["adam"] = train(model, x, y, start, legacy.Adam(0.01), 5)
    if options.get("first"):
        turn(result)
    if "cudnn" in options:
        rename(result, options["cudnn"])
    return result


def turn(result):
    """A case with `channels_last` as it is with `channels_first`."""
    for key in ("input", "prediction", "target", "input_gradient"):
        values = result[key]
        if len(values["shape"]) > 2:
            result[key] = tensor(np.moveaxis(np.reshape(np.float32(values["values"]), values["shape"]), -1, 1))
    config = result["model"]["config"]["layers"][0]["config"]
    shape = config["batch_input_shape"]
    config |= {"data_format": "channels_first", "batch_input_shape": [shape[0], shape[-1], *shape[1:-1]]}


def rename(result, kind):
    layer = result["model"]["config"]["layers"][0]
    layer["class_name"] = kind
    plain = {"activation", "recurrent_activation", "use_bias", "dropout", "recurrent_dropout", "implementation", "reset_after", "unroll"}
    layer["config"] = {key: value for key, value in layer["config"].items() if key not in plain}
    gates = 3 if kind == "CuDNNGRU" else 4
    for tensors in (result["weights"], result["gradients"], result["sgd"], result["adam"]):
        for index in (0, 1):
            # `_convert_rnn_weights` of Keras, from the plain layer's format to cuDNN's.
            kernel = np.reshape(np.float32(tensors[index]["values"]), tensors[index]["shape"])
            packed = [part.T.reshape(part.shape, order="C") for part in np.hsplit(kernel, gates)]
            tensors[index] = tensor(np.hstack(packed))
        bias = tensors[2]
        if kind == "CuDNNLSTM":
            values = np.float32(bias["values"])
            parts = [values * np.float32(0.25), values * np.float32(0.75)] if tensors is result["weights"] else [values, values]
            bias["values"] = [number(value) for value in np.concatenate(parts)]
        bias["shape"] = [len(bias["values"])]
    if kind == "CuDNNLSTM":
        del result["sgd"], result["adam"]


def main():
    keras.utils.disable_interactive_logging()
    wanted = set(sys.argv[1:])
    for family in (convolution, shape, activation, recurrent, merge):
        if wanted and family.__name__ not in wanted:
            continue
        cases = []
        keras.backend.clear_session()
        for name, model, options in family():
            cases.append(make_case(name, model, options))
        text = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
        path = HERE / f"{family.__name__}.json"
        path.write_text(f"[\n{text}\n]\n")
        print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
