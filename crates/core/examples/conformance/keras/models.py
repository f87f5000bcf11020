"""What Keras makes of a model: its JSON, shapes, predictions, gradients, and the weights after some steps."""

import json

import dialect
import names
import optimizers
import tensorflow as tf
import tensors


def sizes(shape):
    return list(shape[1:])


def ordered(model, question):
    """The model's layers in the order of its JSON; Keras itself sorts those of a graph by their distance from the output."""
    return [model.get_layer(layer["config"]["name"]) for layer in json.loads(question["json"])["config"]["layers"]]


def description(question):
    """What Keras makes of a model's JSON alone."""
    model = dialect.load(question["json"])
    return {"inputs": model.input_names, "outputs": model.output_names, **described(model, ordered(model, question))}


def described(model, all_layers):
    return {"json": model.to_json(), "layers": layers(all_layers), "parameters": model.count_params()}


def layers(all_layers):
    found = []
    for layer in all_layers:
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
    found = [tf.constant(tensors.read(tensor)) for tensor in question["inputs"]]
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
    all_layers = ordered(model, question)
    answer = described(model, all_layers)
    model.load_weights(question["weights"])
    x = inputs(question)
    reset(model)
    answer["prediction"] = tensors.write(model(x, training=False))
    training = question.get("training")
    if training:
        answer.update(train(model, all_layers, x, training))
    if question.get("save"):
        save(model, question["save"])
        reset(model)
        answer["prediction_after"] = tensors.write(model(x, training=False))
    return answer


def step(model, x, truth):
    """`Model.train_step` without its metrics and without the batching around it."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, truth, model(x, training=True))
    model.optimizer.minimize(loss, model.trainable_variables, tape=tape)


def train(model, all_layers, x, training):
    truth = tf.constant(tensors.read(training["truth"]))
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
        loss = model.compute_loss(x, truth, predicted)
    trained = [weight for layer in all_layers for weight in layer.trainable_weights]
    found = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
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
            step(model, x, truth)
            done += 1
        answer["after"].append([tensors.write(weight) for layer in all_layers for weight in layer.get_weights()])
    return answer


def noise(question):
    """What a layer that draws random numbers puts out in training."""
    model = dialect.load(question["json"])
    model.load_weights(question["weights"])
    reset(model)
    return {"outputs": tensors.write(model(inputs(question), training=True))}


def start(question):
    """The weights that a model starts with."""
    return {"weights": [tensors.write(weight) for weight in dialect.load(question["json"]).get_weights()]}
