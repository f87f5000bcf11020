"""Answers questions about Keras 2.15: one JSON line in, one JSON line out, until the input ends.

    python answer.py < questions > answers

Each question has a `kind`, which names a function of `models.py`, `functions.py` or `runs.py`. Tensors travel as
`{"shape": [...], "hex": "..."}`, the hexadecimal digits of their little-endian 32-bit floats, so that no digit is lost. What Keras
refuses is an answer too: `{"error": "..."}`.
"""

import json
import os
import sys
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # plain summation orders, the same on every machine
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# What TensorFlow prints must not come between the answers.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.get_logger().setLevel("ERROR")

import functions
import models
import runs
import keras


def versions(_):
    return {"keras": keras.__version__, "tensorflow": tf.__version__, "python": sys.version.split()[0]}


KINDS = {
    "versions": versions,
    "model": models.model,
    "description": models.description,
    "noise": models.noise,
    "start": models.start,
    "loss": functions.loss,
    "metric": functions.metric,
    "fit": runs.fit,
}


def main():
    for line in sys.stdin:
        question = json.loads(line)
        started = time.time()
        keras.backend.clear_session()
        keras.utils.set_random_seed(question.get("seed", 1))
        try:
            answer = KINDS[question["kind"]](question)
        except Exception as error:  # whatever Keras refuses is an answer
            if "CONFORMANCE_TRACE" in os.environ:
                traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        answer["seconds"] = time.time() - started
        ANSWERS.write(json.dumps(answer, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
