"""Whole runs of `fit`, rows in a given order, with callbacks."""

import dialect
import keras
import names
import numpy as np
import optimizers
import tensors


class Ordered(keras.utils.Sequence):
    """Batches of rows in an order that is given for each epoch."""

    def __init__(self, x, truth, orders, batch_size):
        self.x, self.truth, self.orders, self.batch_size, self.epoch = x, truth, orders, batch_size, 0

    def __len__(self):
        return -(-len(self.orders[0]) // self.batch_size)

    def __getitem__(self, index):
        order = self.orders[min(self.epoch, len(self.orders) - 1)]
        rows = np.array(order[index * self.batch_size:(index + 1) * self.batch_size])
        return self.x[rows], self.truth[rows]


class Epochs(keras.callbacks.Callback):
    """Turns to the next order, and keeps the rate that each epoch was trained with."""

    def __init__(self, batches):
        super().__init__()
        self.batches, self.rates = batches, []

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
        self.rates.append(float(self.model.optimizer.learning_rate))


def fit(question):
    model = dialect.load(question["json"])
    model.load_weights(question["weights"])
    x, truth = tensors.read(question["x"]), tensors.read(question["truth"])
    if question["loss"] == "sparse_categorical_crossentropy":
        truth = truth[..., 0]
    model.compile(
        loss=names.loss(question["loss"]),
        metrics=[names.metric(name, question["loss"], model.output_shape[-1]) for name in question["metrics"]],
        optimizer=optimizers.read(question["optimizer"]),
        run_eagerly=True,
    )
    batches = Ordered(x, truth, question["orders"], question["batch_size"])
    epochs = Epochs(batches)
    callbacks = [epochs]
    for name, arguments in question["callbacks"]:
        callbacks.append(getattr(keras.callbacks, name)(**arguments))
    validation = question.get("validation")
    history = model.fit(
        batches,
        epochs=question["epochs"],
        shuffle=False,
        verbose=0,
        steps_per_epoch=question.get("steps_per_epoch"),
        validation_data=Ordered(x, truth, [validation], question["batch_size"]) if validation else None,
        validation_steps=question.get("validation_steps"),
        callbacks=callbacks,
    )
    reported = [name for name in history.history if name != "lr"]
    answer = {
        "epochs": [
            [[name, tensors.number(history.history[name][epoch])] for name in reported] for epoch in range(len(history.epoch))
        ],
        "rates": epochs.rates[:len(history.epoch)],
        "weights": [tensors.write(weight) for weight in model.get_weights()],
    }
    if question.get("log"):
        with open(question["log"]) as file:
            answer["log"] = file.read()
    return answer
