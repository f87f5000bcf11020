"""Writes splits.json: rows as scikit-learn's splitters choose them. Made with scikit-learn 1.5.2."""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

cases = []


def case(kind, splitter, rows, labels, test_size, seed):
    train, test = next(splitter.split(np.zeros((rows, 1)), labels, labels))
    labels = None if labels is None else np.asarray(labels).tolist()
    cases.append(dict(kind=kind, rows=rows, labels=labels, test_size=test_size, seed=seed,
                      train=train.tolist(), test=test.tolist()))


for rows, test_size, seed in [(2, 0.5, 0), (10, 0.2, 123), (38, 0.2, 42), (129, 0.33, 4294967295), (7, 0.9 - 1e-9 - 0.1, 1)]:
    case("simple", ShuffleSplit(1, test_size=test_size, random_state=seed), rows, None, test_size, seed)

draw = np.random.RandomState(5)
stratified = [
    ([0] * 27 + [1] * 11, 0.2, 42),
    ([0, 1, 2] * 7, 0.2, 0),
    (draw.randint(0, 5, 83).tolist(), 0.25, 7),
    ([0] * 4 + [1] * 4 + [2] * 4 + [3] * 5, 0.25, 3),
    ([1, 0] * 5, 0.5, 11),
]
for labels, test_size, seed in stratified:
    case("stratified", StratifiedShuffleSplit(1, test_size=test_size, random_state=seed), len(labels), labels, test_size, seed)

grouped = [
    (["a", "b", "c", "d", "e"] * 4, 0.2, 42),
    (["10", "9", "2", "9", "2", "33", "10"], 0.5, 1),
    (["test", "train", "validation", "train", "test", "train"], 0.3, 9),
]
for labels, test_size, seed in grouped:
    # pandas reads a column of numbers as numbers.
    as_read = [int(label) for label in labels] if labels[0].isdigit() else labels
    case("group", GroupShuffleSplit(1, test_size=test_size, random_state=seed), len(labels), as_read, test_size, seed)
    cases[-1]["labels"] = labels

one_hot = np.eye(3, dtype=int)[[0, 1, 2, 2, 1, 0, 0, 1, 2, 0, 0, 0, 1]]
splitter = StratifiedShuffleSplit(1, test_size=0.3, random_state=17)
train, test = next(splitter.split(np.zeros((13, 1)), one_hot))
cases.append(dict(kind="one_hot", rows=13, labels=one_hot.tolist(), test_size=0.3, seed=17,
                  train=train.tolist(), test=test.tolist()))

lines = ",\n".join(json.dumps(entry) for entry in cases)
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text('{"scikit-learn": "%s", "numpy": "%s", "cases": [\n%s\n]}\n' % (sklearn.__version__, np.__version__, lines))
