"""Optimisers as Keras 2.3.1 has them: in Keras 2.15 they are the ones called legacy."""

import keras


def read(description):
    options = dict(description["options"])
    name = description["name"]
    # The norm was that of all gradients together; it is called so now.
    if "clipnorm" in options:
        options["global_clipnorm"] = options.pop("clipnorm")
    if name == "Adagrad":
        options.setdefault("initial_accumulator_value", 0.0)
    rate = options.pop("lr", None)
    if rate is not None:
        options["learning_rate"] = rate
    return getattr(keras.optimizers.legacy, name)(**options)
