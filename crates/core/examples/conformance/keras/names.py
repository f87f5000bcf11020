"""Names of Keras 2.3.1 that Keras 2.15 no longer knows."""

import keras

LOSSES = {"cosine_proximity": "cosine_similarity"}
COSINES = {"cosine_proximity", "cosine"}


def loss(name):
    return LOSSES.get(name, name)


def metric(name):
    """What `compile` takes for a metric, reported by the name that was asked for."""
    return keras.metrics.CosineSimilarity(name=name) if name in COSINES else name
