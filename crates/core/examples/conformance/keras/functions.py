"""Losses and metrics by themselves."""

import keras
import names
import tensorflow as tf
import tensors


def loss(question):
    """The mean of a loss over a batch, and its gradient for the predictions."""
    truth = tensors.read(question["truth"])
    predicted = tf.constant(tensors.read(question["predicted"]))
    function = keras.losses.get(names.loss(question["loss"]))
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        mean = tf.reduce_mean(function(tf.constant(truth), predicted))
    return {"value": tensors.number(mean), "gradient": tensors.write(tape.gradient(mean, predicted))}


def metric(question):
    """A metric over several batches, chosen by its name as `compile` does it."""
    width = question["width"]
    inputs = keras.Input((width,))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(loss=names.loss(question["loss"]), metrics=[names.metric(question["metric"], question["loss"], width)], optimizer="sgd", run_eagerly=True)
    for batch in question["batches"]:
        truth, predicted = (tf.constant(tensors.read(batch[name])) for name in ("truth", "predicted"))
        model.compiled_metrics.update_state(truth, predicted)
    [found] = model.compiled_metrics.metrics
    return {"name": found.name, "value": tensors.number(found.result())}
