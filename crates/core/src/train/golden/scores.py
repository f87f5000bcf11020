"""Writes scores.json: scikit-learn's scores of small sets of predictions. Made with scikit-learn 1.5.2."""

import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn import metrics as m

warnings.simplefilter("ignore")
draw = np.random.RandomState(3)


def single(values):
    """As single precision holds them, so that both sides see the same numbers."""
    return np.asarray(values, np.float32).astype(float)


def averaged(truth, predicted, averages):
    found = {}
    for measure, score in [("f1", m.f1_score), ("precision", m.precision_score), ("recall", m.recall_score)]:
        for average in averages:
            name = measure if average == "binary" else f"{measure}_{average}"
            found[name] = score(truth, predicted, average=average)
    return found


def of_classes(rows, classes, labels):
    truth = draw.choice(labels, rows)
    probabilities = single(np.round(draw.dirichlet(np.ones(classes), rows) + 0.2 * np.eye(classes)[truth], 2) / 1.2)
    predicted = probabilities.argmax(1)
    scores = dict(accuracy=m.accuracy_score(truth, predicted), balanced_accuracy=m.balanced_accuracy_score(truth, predicted),
                  neg_log_loss=-m.log_loss(truth, probabilities / probabilities.sum(1, keepdims=True), labels=range(classes)))
    scores.update(averaged(truth, predicted, ["micro", "macro", "weighted"]))
    if classes == 2:
        scores.update(averaged(truth, predicted, ["binary"]))
        scores.update(roc_auc=m.roc_auc_score(truth, probabilities[:, 1]),
                      average_precision=m.average_precision_score(truth, probabilities[:, 1]))
    p, r, f, s = m.precision_recall_fscore_support(truth, predicted, labels=range(classes))
    report = dict(precision=p.tolist(), recall=r.tolist(), f_score=f.tolist(), support=s.tolist(),
                  confusion=m.confusion_matrix(truth, predicted, labels=range(classes)).tolist())
    return dict(task="classes", columns=classes, truth=truth.tolist(), predicted=predicted.tolist(),
                probabilities=probabilities.ravel().tolist(), scores=scores, report=report)


def of_labels(rows, columns):
    truth = draw.randint(0, 2, (rows, columns))
    truth[0] = 0
    probabilities = single(np.round(0.7 * draw.rand(rows, columns) + 0.3 * truth, 2))
    predicted = (probabilities > 0.5).astype(int)
    scores = dict(accuracy=m.accuracy_score(truth, predicted), roc_auc=m.roc_auc_score(truth, probabilities),
                  average_precision=m.average_precision_score(truth, probabilities))
    scores.update(averaged(truth, predicted, ["micro", "macro", "weighted", "samples"]))
    return dict(task="labels", columns=columns, truth=truth.ravel().tolist(), predicted=predicted.ravel().tolist(),
                probabilities=probabilities.ravel().tolist(), scores=scores)


def of_values(truth, predicted):
    truth, predicted = single(truth), single(predicted)
    scores = dict(explained_variance=m.explained_variance_score(truth, predicted), r2=m.r2_score(truth, predicted),
                  neg_mean_absolute_error=-m.mean_absolute_error(truth, predicted),
                  neg_mean_squared_error=-m.mean_squared_error(truth, predicted),
                  neg_mean_squared_log_error=-m.mean_squared_log_error(truth, predicted),
                  neg_median_absolute_error=-m.median_absolute_error(truth, predicted))
    if truth.ndim == 1:
        # scikit-learn's scorer of this name is negated too.
        scores["max_error"] = -m.max_error(truth, predicted)
    return dict(task="values", columns=1 if truth.ndim == 1 else truth.shape[1], truth=truth.ravel().tolist(),
                predicted=predicted.ravel().tolist(), probabilities=[], scores=scores)


truth = draw.rand(9) * 10
several = draw.rand(6, 3) * 5
cases = [
    of_classes(20, 2, [0, 1]),
    of_classes(30, 4, [0, 1, 2, 3]),
    # A class that the rows do not have.
    of_classes(12, 4, [0, 1, 3]),
    of_labels(10, 3),
    of_values(truth, truth + draw.rand(9)),
    of_values(truth[:8], draw.rand(8) * 10),
    of_values(several, several + draw.rand(6, 3)),
    of_values([2, 2, 2], [2, 2, 2.5]),
    of_values([2, 2, 2], [2, 2, 2]),
]
lines = ",\n".join(json.dumps(case) for case in cases)
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text('{"scikit-learn": "%s", "numpy": "%s", "cases": [\n%s\n]}\n' % (sklearn.__version__, np.__version__, lines))
