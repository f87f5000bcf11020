"""Models in the dialect of Keras 2.3.1, made runnable by Keras 2.15 on a CPU."""

import json

import cudnn
import keras

# Their one operation is for graphics cards.
CUDNN = {"CuDNNGRU": cudnn.CuDNNGRU, "CuDNNLSTM": cudnn.CuDNNLSTM}


def load(text):
    model = keras.models.model_from_json(text, custom_objects=CUDNN)
    for layer in model.layers:
        if type(layer) in (keras.layers.GRU, keras.layers.LSTM) and (layer.dropout or layer.recurrent_dropout):
            # Keras 2.3.1 drops alike in all steps and by `implementation`. Newer Keras drops anew in each step where it could use a graphics
            # card, and knows one implementation only with recurrent dropout.
            layer._could_use_gpu_kernel = False
            layer.cell.implementation = implementations(text)[layer.name]
    return model


def implementations(text):
    layers = (layer["config"] for layer in json.loads(text)["config"]["layers"])
    return {config["name"]: config.get("implementation", 1) for config in layers}


def state_dropped_at_once(cell_class, gates):
    """The second implementation of recurrent dropout, which newer Keras has not: one mask for all gates."""
    original = cell_class.call

    def call(self, inputs, states, training=None):
        if self.implementation != 1 and self.recurrent_dropout:
            h, *rest = states if isinstance(states, (list, tuple)) else [states]
            mask = self.get_recurrent_dropout_mask_for_cell(h, training, count=gates)
            states = [h if mask is None else h * mask[0], *rest]
        return original(self, inputs, states, training)

    cell_class.call = call


state_dropped_at_once(keras.layers.GRUCell, 3)
state_dropped_at_once(keras.layers.LSTMCell, 4)


def channels_last_inside(layer_class):
    """TensorFlow has no kernels on a CPU for some layers with the channels first: these compute between two transpositions.

    The activation waits until the channels are back: softmax looks at the last axis, whatever that is.
    """
    original = layer_class.call

    def call(self, inputs):
        if self.data_format != "channels_first":
            return original(self, inputs)
        rank = len(inputs.shape)
        attributes = ("data_format", "_channels_first", "_tf_data_format", "activation")
        before = {name: getattr(self, name) for name in attributes if hasattr(self, name)}
        activation = before.pop("activation", None)
        try:
            self.data_format = "channels_last"
            if activation is not None:
                self.activation = None
            if "_channels_first" in before:
                self._channels_first = False
                self._tf_data_format = keras.src.utils.conv_utils.convert_data_format("channels_last", rank)
            moved = keras.backend.permute_dimensions(inputs, (0, *range(2, rank), 1))
            outputs = original(self, moved)
        finally:
            for name, value in before.items():
                setattr(self, name, value)
            if activation is not None:
                self.activation = activation
        outputs = keras.backend.permute_dimensions(outputs, (0, rank - 1, *range(1, rank - 1)))
        return outputs if activation is None else activation(outputs)

    layer_class.call = call


for name in ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "SeparableConv1D", "SeparableConv2D",
             "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D"]:
    layer = getattr(keras.layers, name)
    # Where the method stands, once: Conv2D inherits it from the class of all convolutions.
    owner = next(c for c in layer.__mro__ if "call" in vars(c))
    if "channels_last_inside" not in vars(owner):
        channels_last_inside(owner)
        owner.channels_last_inside = True
