"""What every builder of a model is given."""

from __future__ import annotations

import dataclasses
from typing import Any

from estimator_app import settings as settings_lib
from estimator_app.models import feature_config
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib


@dataclasses.dataclass(frozen=True)
class Problem:
    """The data to learn from, and how.

    Attributes:
      schema: features and label; `schema.task` says what kind of label, or of labels, it is.
      statistics: of the training data, such as mean and standard deviation of each number.
      settings: hidden units, dropout, optimizer, learning rate.
      config: the `RunConfig` to hand to the Estimator; it carries the model directory.
      features: what the file of `--features` says of single features.
    """

    schema: schema_lib.Schema
    statistics: statistics_lib.DatasetStatistics
    settings: settings_lib.ModelSettings
    config: Any
    features: feature_config.FeatureConfig = feature_config.FeatureConfig()
