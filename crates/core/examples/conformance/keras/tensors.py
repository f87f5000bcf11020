"""Tensors in JSON, without losing a digit."""

import numpy as np


def read(tensor):
    values = np.frombuffer(bytes.fromhex(tensor["hex"]), dtype="<f4")
    return values.reshape(tensor["shape"]).astype(np.float32)


def write(array):
    array = np.asarray(array, dtype="<f4")
    return {"shape": list(array.shape), "hex": array.tobytes().hex()}


def number(value):
    """One number; as text where JSON has none for it."""
    value = float(value)
    return value if np.isfinite(value) else str(value)
