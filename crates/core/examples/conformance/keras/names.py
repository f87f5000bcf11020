"""Names of Keras 2.3.1 that Keras 2.15 no longer knows."""

import keras

LOSSES = {"cosine_proximity": "cosine_similarity"}
COSINES = {"cosine_proximity", "cosine"}


def loss(name):
    return LOSSES.get(name, name)


def metric(name, loss, width):
    """What `compile` takes for a metric, reported by the name that was asked for."""
    if name in COSINES:
        return keras.metrics.CosineSimilarity(name=name)
    # In Keras 2.3.1 the accuracy beside this loss is counted output by output; newer Keras looks at the number of outputs only.
    if name in {"acc", "accuracy"} and loss == "binary_crossentropy" and width > 1:
        return keras.metrics.BinaryAccuracy(name=name)
    return name
