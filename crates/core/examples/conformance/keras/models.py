"""What Keras makes of a model: its JSON, shapes, predictions, gradients, and the weights after some steps."""

import dialect
import keras
import names
import numpy as np
import optimizers
import tensorflow as tf
import tensors


def sizes(shape):
    return list(shape[1:])


def layers(model):
    found = []
    for layer in model.layers:
        shapes = layer.output_shape
        shapes = shapes if isinstance(shapes, list) else [shapes]
        trainable = {id(weight) for weight in layer.trainable_weights}
        found.append({
            "name": layer.name,
            "outputs": [sizes(shape) for shape in shapes],
            "weights": [
                [weight.name.split("/")[-1].split(":")[0], list(weight.shape), id(weight) in trainable]
                for weight in layer.weights
            ],
        })
    return found


def inputs(question):
    found = [tensors.read(tensor) for tensor in question["inputs"]]
    return found[0] if len(found) == 1 else found


def reset(model):
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()


def save(model, path):
    if path.endswith(".model.h5"):
        model.save(path, save_format="h5", include_optimizer=False)
    elif path.endswith(".keras"):
        model.save(path, save_format="keras")
    else:
        model.save_weights(path)


def model(question):
    model = dialect.load(question["json"])
    answer = {"json": model.to_json(), "layers": layers(model), "parameters": model.count_params()}
    model.load_weights(question["weights"])
    x = inputs(question)
    reset(model)
    answer["prediction"] = tensors.write(model(x, training=False))
    training = question.get("training")
    if training:
        answer.update(train(model, x, training))
    if question.get("save"):
        save(model, question["save"])
        reset(model)
        answer["prediction_after"] = tensors.write(model(x, training=False))
    return answer


def train(model, x, training):
    truth = tensors.read(training["truth"])
    if training["loss"] == "sparse_categorical_crossentropy" and truth.shape[-1] == 1:
        truth = truth[..., 0]
    model.compile(
        loss=names.loss(training["loss"]),
        optimizer=optimizers.read(training["optimizer"]),
        run_eagerly=True,
    )
    start = model.get_weights()
    reset(model)
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        loss = model.compute_loss(x, tf.constant(truth), predicted)
    found = tape.gradient(loss, model.trainable_weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    answer = {
        "loss": tensors.number(loss),
        "gradients": [tensors.write(tf.convert_to_tensor(gradient)) for gradient in found],
        "after": [],
    }
    model.set_weights(start)
    reset(model)
    done = 0
    for steps in training["steps"]:
        while done < steps:
            model.train_on_batch(x, truth)
            done += 1
        answer["after"].append([tensors.write(weight) for weight in model.get_weights()])
    return answer


def refusal(question):
    """Whether Keras takes these layers at all: each by its class and the text of its arguments."""
    names = {name: getattr(module, name) for module in
             (keras.initializers, keras.regularizers, keras.constraints) for name in dir(module) if name[0] != "_"}
    model = keras.Sequential()
    for class_name, arguments in question["layers"]:
        class_name, more = dialect.PLAIN.get(class_name, (class_name, {}))
        arguments = eval(f"dict({arguments})", {"__builtins__": {"dict": dict, "True": True, "False": False}}, names)
        model.add(getattr(keras.layers, class_name)(**arguments, **more))
    return {"outputs": sizes(model.output_shape), "parameters": model.count_params()}


def noise(question):
    """What a layer that draws random numbers puts out in training."""
    model = dialect.load(question["json"])
    model.load_weights(question["weights"])
    reset(model)
    return {"outputs": tensors.write(model(inputs(question), training=True))}


def start(question):
    """The weights that a model starts with."""
    return {"weights": [tensors.write(weight) for weight in dialect.load(question["json"]).get_weights()]}
