"""Makes the golden files of `forms.json` with real Keras.

    python make_models.py 2.3.1     NAME.keras2.3.1.json for every form, as the original tool makes it
    python make_models.py 2.15      NAME.keras2.15.json from those, and NAME.shapes.json for forms with an input shape
    python make_models.py 3         NAME.keras3.json for some forms

Made with Keras 2.3.1 (`pip install --no-deps keras==2.3.1 keras_applications keras_preprocessing pyyaml` beside TensorFlow 2.15 and
Python 3.11; the first part of this script makes them work together), Keras 2.15.0 and Keras 3.3.3.
"""

import collections
import collections.abc
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = sys.argv[1]
# The parameters that the original tool reads as Python literals.
LITERALS = (
    "kernel_size", "strides", "pool_size", "target_shape", "dims", "cropping", "size", "padding", "shared_axes", "axis", "shape",
)  # fmt: skip
# Layers that newer versions do not have.
ONLY_IN_2_3_1 = ("graphics_cards",)
IN_KERAS_3 = ("intro", "rnn", "cnn", "defaults", "images", "two_inputs_two_outputs", "merges")


def keras_2_3_1():
    """Keras 2.3.1 on a TensorFlow that is four years younger."""
    for name in ("Iterable", "Mapping", "Sequence"):
        setattr(collections, name, getattr(collections.abc, name))
    import inspect

    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]
    import tensorflow as tf
    import tensorflow.python.keras as tf_keras
    import tensorflow.python.keras.backend, tensorflow.python.keras.callbacks  # noqa: F401, E401
    import tensorflow.python.keras.layers, tensorflow.python.keras.metrics  # noqa: F401, E401

    tf.keras = tf_keras
    tf.compat.v1.disable_eager_execution()
    import keras

    backend = sys.modules["keras.backend.tensorflow_backend"]
    backend.is_tensor = lambda x: isinstance(x, (tf.Tensor, tf.Variable, tf.SparseTensor)) or hasattr(x, "op")
    backend._get_available_gpus = lambda: []
    variable = backend.variable

    def variable_of(value, *args, **kwargs):
        return variable(value.numpy() if type(value).__name__ == "EagerTensor" else value, *args, **kwargs)

    backend.variable = keras.backend.variable = variable_of
    return keras


def value_of(keras, layer, name, value):
    """What the original tool makes of a field; where it fails, what its author meant."""
    if value in ("", "None"):
        return None
    if layer == "ReLU" and name == "max_value" and not value:
        return None
    if name.endswith("_regularizer"):
        factors = eval(value)
        return keras.regularizers.l1_l2(*factors) if any(factors) else None
    if name.endswith("_constraint"):
        options = dict(value.get("constraint_options", {}))
        if "axis" in options:
            options["axis"] = eval(options["axis"])
        kind = value["constraint_type"]
        return None if kind == "None" else getattr(keras.constraints, kind)(**options)
    return eval(value) if name in LITERALS and isinstance(value, str) else value


def build(keras, form):
    """What the original tool does with its form; kwargs are Python there."""
    names = {}
    for module in (keras.initializers, keras.regularizers, keras.constraints):
        names.update(vars(module))
    names.update(initializers=keras.initializers, regularizers=keras.regularizers)
    selection = form["model_selection"]
    functional = selection["model_type"] == "functional"
    tensors, deferred = [], []
    model = None if functional else keras.models.Sequential()
    shape = eval(selection["input_shape"]) if selection.get("input_shape") else None
    for index, entry in enumerate(selection["layers"]):
        fields = dict(entry["layer_selection"])
        layer_type = fields.pop("layer_type")
        layer = getattr(keras.layers, layer_type)
        before = fields.pop("inbound_nodes", index)
        merged = fields.pop("merging_layers", None)
        if layer_type == "Dot":
            fields["axes"] = eval(fields.pop("axis"))
        kwargs = eval("dict(%s)" % (fields.pop("kwargs", None) or ""), names)
        arguments = {name: value_of(keras, layer_type, name, value) for name, value in fields.items()}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if index == 0 and shape is not None:
            arguments["input_shape"] = shape
        made = layer(**{**arguments, **kwargs})
        if not functional:
            model.add(made)
        elif layer_type == "Input":
            tensors.append(made)
        else:
            deferred.append((index, made, eval(merged) if merged else before))
            tensors.append(None)
    if not functional:
        return model
    # In an order in which they can be computed: a form may name a layer that comes later.
    while deferred:
        index, made, before = deferred.pop(0)
        taken = [tensors[number - 1] for number in (before if isinstance(before, list) else [before])]
        if any(tensor is None for tensor in taken):
            deferred.append((index, made, before))
        else:
            tensors[index] = made(taken if isinstance(before, list) else taken[0])
    ends = [[tensors[number - 1] for number in eval(selection[key])] for key in ("input_layers", "output_layers")]
    return keras.models.Model(*ends)


def write(name, kind, text):
    with open(os.path.join(HERE, f"{name}.{kind}.json"), "w") as file:
        file.write(text)


def shapes(model):
    return [
        {
            "name": layer.name,
            "output": list(layer.get_output_at(0).shape[1:]),
            "weights": [[w.name.split("/")[-1].split(":")[0], list(w.shape)] for w in layer.weights],
            "parameters": layer.count_params(),
            "trainable": sum(int(w.shape.num_elements()) for w in layer.trainable_weights),
        }
        for layer in model.layers
    ]


with open(os.path.join(HERE, "forms.json")) as file:
    FORMS = json.load(file)

if VERSION == "2.3.1":
    keras = keras_2_3_1()
else:
    import keras

assert keras.__version__.startswith(VERSION), keras.__version__
for name, form in FORMS.items():
    keras.backend.clear_session()
    if VERSION == "2.3.1":
        write(name, "keras2.3.1", json.dumps(json.loads(build(keras, form).to_json()), indent=2))
    elif VERSION == "2.15" and name not in ONLY_IN_2_3_1:
        with open(os.path.join(HERE, f"{name}.keras2.3.1.json")) as file:
            model = keras.models.model_from_json(file.read())
        write(name, "keras2.15", json.dumps(json.loads(model.to_json())))
        if form["model_selection"].get("input_shape", "functional"):
            lines = [json.dumps(layer) for layer in shapes(model)]
            write(name, "shapes", "[\n" + ",\n".join(lines) + "\n]\n")
    elif VERSION == "3" and name in IN_KERAS_3:
        write(name, "keras3", json.dumps(json.loads(build(keras, form).to_json())))
