"""Models in the dialect of Keras 2.3.1, made runnable by Keras 2.15 on a CPU."""

import json

import keras

# cuDNN's layers run on a GPU only; these compute the same.
PLAIN = {
    "CuDNNGRU": ("GRU", {"reset_after": True, "recurrent_activation": "sigmoid", "activation": "tanh"}),
    "CuDNNLSTM": ("LSTM", {"recurrent_activation": "sigmoid", "activation": "tanh"}),
}


def plain(config):
    for layer in config["config"]["layers"]:
        if layer["class_name"] in PLAIN:
            layer["class_name"], arguments = PLAIN[layer["class_name"]]
            layer["config"].update(arguments)
    return config


def load(text):
    return keras.models.model_from_json(json.dumps(plain(json.loads(text))))


def channels_last_inside(layer_class):
    """TensorFlow has no kernels on a CPU for some layers with the channels first: these compute between two transpositions."""
    original = layer_class.call

    def call(self, inputs):
        if self.data_format != "channels_first":
            return original(self, inputs)
        rank = len(inputs.shape)
        attributes = ("data_format", "_channels_first", "_tf_data_format")
        before = {name: getattr(self, name) for name in attributes if hasattr(self, name)}
        try:
            self.data_format = "channels_last"
            if "_channels_first" in before:
                self._channels_first = False
                self._tf_data_format = keras.src.utils.conv_utils.convert_data_format("channels_last", rank)
            moved = keras.backend.permute_dimensions(inputs, (0, *range(2, rank), 1))
            outputs = original(self, moved)
        finally:
            for name, value in before.items():
                setattr(self, name, value)
        return keras.backend.permute_dimensions(outputs, (0, rank - 1, *range(1, rank - 1)))

    layer_class.call = call


for name in ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "SeparableConv1D", "SeparableConv2D",
             "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D"]:
    layer = getattr(keras.layers, name)
    # Where the method stands, once: Conv2D inherits it from the class of all convolutions.
    owner = next(c for c in layer.__mro__ if "call" in vars(c))
    if "channels_last_inside" not in vars(owner):
        channels_last_inside(owner)
        owner.channels_last_inside = True
