"""What is held against an export: the Estimator's own answers."""

import logging

import numpy as np
import tensorflow as tf

from estimator_app import verification
from estimator_app.compat import estimator


def test_rows_of_lists_alone_are_predicted_without_a_warning(tmp_path, caplog):
    def model_fn(features, mode):
        tf.compat.v1.train.get_or_create_global_step()
        totals = tf.sparse.reduce_sum(features["counts"], axis=1)
        return estimator.EstimatorSpec(mode, predictions={"total": totals})

    lists = np.fromiter([np.array([1, 2]), np.array([], np.int64), np.array([5])], object)
    rows = verification.SampleRows({"counts": lists}, {})
    own = estimator.Estimator(model_fn, str(tmp_path))
    with caplog.at_level(logging.WARNING):
        answers = verification.predict_locally(own, rows, None)
    assert answers["total"].tolist() == [3, 0, 5]
    assert not [record.getMessage() for record in caplog.records if "predict" in record.msg]
