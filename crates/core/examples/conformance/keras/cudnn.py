"""cuDNN's recurrent layers on a CPU: Keras's own classes, with cuDNN's one operation written out.

TensorFlow has that operation for graphics cards only. Its formulas are those of cuDNN's manual; the matrix of a gate is `[units, inputs]`,
which Keras's weights are read as without being turned (`canonical_to_params` flattens them).
"""

import tensorflow as tf
from keras.src.layers.rnn.cudnn_gru import CuDNNGRU as GraphicsGRU
from keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM as GraphicsLSTM


def gates(layer, count):
    """The matrices for the input and for the state, and the biases of both, a list a gate each."""
    units, inputs = layer.units, layer.kernel.shape[0]
    of_input = [tf.reshape(part, (units, inputs)) for part in tf.split(layer.kernel, count, axis=1)]
    of_state = [tf.reshape(part, (units, units)) for part in tf.split(layer.recurrent_kernel, count, axis=1)]
    biases = tf.split(layer.bias, 2 * count)
    return of_input, of_state, biases[:count], biases[count:]


def walk(layer, inputs, states, step):
    outputs = []
    for x in tf.unstack(inputs, axis=1):
        states = step(x, states)
        outputs.append(states[0])
    output = tf.stack(outputs, axis=1) if layer.return_sequences else outputs[-1]
    return output, list(states)


class CuDNNGRU(GraphicsGRU):
    def _process_batch(self, inputs, initial_state):
        (wz, wr, wh), (rz, rr, rh), (bz, br, bh), (cz, cr, ch) = gates(self, 3)

        def times(values, matrix):
            return tf.matmul(values, matrix, transpose_b=True)

        def step(x, states):
            [h] = states
            z = tf.sigmoid(times(x, wz) + times(h, rz) + bz + cz)
            r = tf.sigmoid(times(x, wr) + times(h, rr) + br + cr)
            candidate = tf.tanh(times(x, wh) + bh + r * (times(h, rh) + ch))
            return [(1 - z) * candidate + z * h]

        return walk(self, inputs, initial_state, step)


class CuDNNLSTM(GraphicsLSTM):
    def _process_batch(self, inputs, initial_state):
        weights = gates(self, 4)

        def step(x, states):
            h, c = states
            i, f, g, o = (
                tf.matmul(x, of_input, transpose_b=True) + tf.matmul(h, of_state, transpose_b=True) + first + second
                for of_input, of_state, first, second in zip(*weights)
            )
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return [tf.sigmoid(o) * tf.tanh(c), c]

        return walk(self, inputs, initial_state, step)
