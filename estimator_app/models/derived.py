"""Features that are computed from others in the graph: tokens of text, parts of dates, copies for several columns.

Only the model's function sees them. Files, requests, schema and signatures keep the text and the date themselves, so
that training and serving cannot differ in what they make of them.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any

import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import date_parts, feature_config, feature_kinds
from estimator_app.models.problem import Problem
from input_fns import dates, errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

TOKENS = "tokens"
MEAN = "mean"

_ONE_HOT = feature_config.Column(dense="indicator")
_PUNCTUATION = r"[!-/:-@\[-`{-~]"  # of ASCII


def build_with_derived_features(
    build: Callable[[Problem], Any], problem: Problem, sequences: bool = False
) -> Any:
    """Returns the Estimator that `build` makes of the problem with its derived features.

    Args:
      build: makes the Estimator.
      problem: with the features that the data has.
      sequences: whether it reads lists in their order; else a list of numbers gives way to its mean.

    Raises:
      SettingsError: the file of `--features` does not fit the schema.
    """
    derived, steps = derive(problem, sequences)
    if not steps and derived.schema == problem.schema:
        return build(derived)
    inner = build(derived)
    taken = {feature.name for feature in problem.schema.features}
    kept = {feature.name for feature in derived.schema.features}

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        given = {
            name: value for name, value in features.items() if name in kept or name not in taken
        }
        with tf.name_scope("derived_features"):
            for step in steps:
                given.update(step({**features, **given}))
        return inner.model_fn(given, labels, mode, config)

    return estimator.Estimator(
        model_fn, config=inner.config, warm_start_from=inner._warm_start_settings
    )


Step = Callable[[Any], dict[str, Any]]


def derive(problem: Problem, sequences: bool = False) -> tuple[Problem, list[Step]]:
    """Returns the problem as the model has it, and what computes its new features from the given ones.

    Text gives way to `NAME.tokens`, a list of numbers to `NAME.mean`, a date to `NAME.days` and other parts of it, a
    feature with several columns to one for each; what the file of `--features` ignores is gone. `Problem.features`
    names the new ones.

    Raises:
      SettingsError: the file of `--features` does not fit the schema.
    """
    maker = _Maker(problem, sequences)
    for feature in problem.schema.features:
        maker.add(feature)
    maker.weigh()
    return maker.finish(), maker.steps


class _Maker:
    """Collects the features, their statistics and treatments, and the steps."""

    def __init__(self, problem: Problem, sequences: bool) -> None:
        self._problem, self._sequences = problem, sequences
        self._config = problem.features
        self._features: list[schema_lib.Feature] = []
        self._statistics = list(problem.statistics.columns)
        self._treatments: dict[str, feature_config.Treatment] = {}
        self._taken = {column.name for column in problem.schema.columns}
        # What the file may name: features, and what is derived from them.
        self._named = {feature.name for feature in problem.schema.features}
        self._stand_ins: dict[str, str] = {}  # text -> its tokens, a list -> its mean
        self.steps: list[Step] = []

    def add(self, feature: schema_lib.Feature) -> None:
        """Takes in a feature of the schema, or what is derived from it."""
        treatment = self._config.treatments.get(feature.name, feature_config.Treatment())
        if treatment.ignored:
            return
        kind = {"plain": "", "text": "text", "": feature.kind}[treatment.nature]
        if feature.name == self._problem.settings.example_id_column:
            kind = ""
        if kind != "date" and treatment.date_parts is not None:
            feature_config.fail(
                treatment.where,
                "a date",
                feature.kind or feature.dtype,
                "Declare it in the schema by a time_domain, or leave date out",
            )
        if kind == "date":
            self._add_date(feature, treatment)
        elif kind == "text":
            self._add_text(feature, treatment)
        elif self._has_mean(feature, treatment):
            self._add_mean(feature, treatment)
        else:
            self._add_columns(dataclasses.replace(feature, kind=""), treatment)

    def weigh(self) -> None:
        """Puts in each feature that weighs another one's values."""
        for name, treatment in list(self._treatments.items()):
            columns = (treatment.deep or ()) + (treatment.wide or ())
            weighted = [column for column in columns if column.weight_feature]
            if weighted:
                weight = self._add_weight(name, weighted[0])
                deep, wide = (
                    part and tuple(dataclasses.replace(c, weight_feature=weight) for c in part)
                    for part in (treatment.deep, treatment.wide)
                )
                self._treatments[name] = dataclasses.replace(treatment, deep=deep, wide=wide)

    def finish(self) -> Problem:
        """Returns the problem.

        Raises:
          SettingsError: the file names a feature that there is not, or leaves none.
        """
        made = {feature.name for feature in self._features} | set(self._stand_ins)
        for known, names in (
            (self._named, {name: t.where for name, t in self._config.treatments.items()}),
            (made, self._config.joined()),
        ):
            for name, where in names.items():
                if name not in known:
                    feature_config.fail(
                        where,
                        f"a feature of the model ({', '.join(sorted(known))})",
                        repr(name),
                        feature_config.nearest(name, known),
                    )
        if not self._features:
            raise errors.SettingsError(
                f"{self._config.path}: expected a feature that is not ignored, found none. Leave one in."
            )
        config = self._config.renamed(self._stand_ins)
        schema, statistics = self._problem.schema, self._problem.statistics
        return dataclasses.replace(
            self._problem,
            settings=dataclasses.replace(
                self._problem.settings, sequence_columns=self._sequence_columns()
            ),
            schema=dataclasses.replace(schema, features=tuple(self._features)),
            statistics=dataclasses.replace(statistics, columns=tuple(self._statistics)),
            features=dataclasses.replace(config, treatments=self._treatments),
        )

    def _sequence_columns(self) -> tuple[str, ...]:
        """Returns those that the settings name; if they name none, the data's own lists go before words of text."""
        named = self._problem.settings.sequence_columns
        if named:
            return tuple(self._stand_ins.get(name, name) for name in named)
        lists = [feature.name for feature in self._problem.schema.features if feature.is_list]
        return tuple(name for name in lists if name in self._treatments)

    def _add_columns(
        self, feature: schema_lib.Feature, treatment: feature_config.Treatment
    ) -> None:
        """Takes in a feature as it is, and a copy of it for each column after the first of a part.

        TensorFlow names columns after their features, and refuses two of one name.
        """
        parts = treatment.deep, treatment.wide
        for index in range(max(1, *(len(columns or ()) for columns in parts))):
            name = feature.name
            if index:
                name = self._new_name(f"{feature.name}.{index + 1}")
                self._copy_statistics(feature.name, name)
                self.steps.append(_renamer(feature.name, name))
            deep, wide = (
                (None if not index else ()) if columns is None else columns[index : index + 1]
                for columns in parts
            )
            self._features.append(dataclasses.replace(feature, name=name))
            self._treatments[name] = feature_config.Treatment(deep, wide, where=treatment.where)

    def _add_text(self, feature: schema_lib.Feature, treatment: feature_config.Treatment) -> None:
        name = self._derived_name(f"{feature.name}.{TOKENS}")
        treatment = self._config.treatments.get(name, treatment)
        if treatment.ignored:
            return
        self._stand_ins[feature.name] = name
        self.steps.append(lambda features: {name: to_tokens(features[feature.name])})
        self._add_columns(schema_lib.Feature(name, "string", value_count=(0, None)), treatment)

    def _has_mean(self, feature: schema_lib.Feature, treatment: feature_config.Treatment) -> bool:
        """Whether it is a list of amounts, and not of ids by the schema or by the file's own kinds."""
        if self._sequences or not feature.is_list or feature.dtype == "string":
            return False
        columns = (treatment.deep or ()) + (treatment.wide or ())
        of_ids = any(column.base in feature_kinds.OF_IDS for column in columns)
        return not feature.categorical and not of_ids

    def _add_mean(self, feature: schema_lib.Feature, treatment: feature_config.Treatment) -> None:
        name = self._derived_name(f"{feature.name}.{MEAN}")
        treatment = self._config.treatments.get(name, treatment)
        if treatment.ignored:
            return
        self._stand_ins[feature.name] = name
        self._copy_statistics(feature.name, name)
        known = self._problem.statistics.column(feature.name)
        default = known.mean if isinstance(known, statistics_lib.NumericStatistics) else 0.0
        self.steps.append(lambda features: {name: to_mean(features[feature.name], default)})
        mean = schema_lib.Feature(name, "float32", low=feature.low, high=feature.high)
        self._add_columns(mean, treatment)

    def _add_date(self, feature: schema_lib.Feature, treatment: feature_config.Treatment) -> None:
        wanted = treatment.date_parts or date_parts.default_parts(feature.date_format)
        if treatment.deep is not None or treatment.wide is not None:
            feature_config.fail(
                treatment.where,
                "a date to be treated by its parts",
                "a column of the whole",
                f"Name a part, such as '{feature.name}.{wanted[0]}'; or give it 'kind: plain'",
            )
        days = _days(feature, self._problem.statistics)
        names = {}
        for part in wanted:
            name = self._derived_name(f"{feature.name}.{part}")
            made, known = _part(name, part, days)
            default = feature_config.Treatment((_ONE_HOT,)) if made.categorical else None
            own = self._config.treatments.get(name, default or feature_config.Treatment())
            if not own.ignored:
                names[part] = name
                self._statistics.append(known)
                self._add_columns(made, own)

        def step(features: Any) -> dict[str, Any]:
            parts = date_parts.split(
                features[feature.name], feature.date_format, tuple(names), days.mean
            )
            return {names[part]: value for part, value in parts.items()}

        # Before the copies of the parts.
        self.steps.insert(0, step)

    def _add_weight(self, name: str, column: feature_config.Column) -> str:
        """Returns the name under which the weights stand beside the values of `name`."""
        weighted = next(feature for feature in self._features if feature.name == name)
        try:
            weight = self._problem.schema.feature(column.weight_feature)
        except errors.SchemaError:
            known = [feature.name for feature in self._problem.schema.features]
            feature_config.fail(
                column.where,
                f"weight_feature to be one of {', '.join(known)}",
                repr(column.weight_feature),
                feature_config.nearest(column.weight_feature, known),
            )
        layout = weighted.shape, weighted.is_list
        if weight.dtype == "string" or (weight.shape, weight.is_list) != layout:
            feature_config.fail(
                column.where,
                f"weight_feature to have a number for each value of '{name}'",
                f"{weight.dtype} {list(weight.shape)}{' in lists' if weight.is_list else ''}",
                "Name another feature",
            )
        weights = self._new_name(f"{name}.weight")
        self._features.append(
            dataclasses.replace(weight, name=weights, dtype="float32", default=None)
        )
        self._treatments[weights] = feature_config.Treatment((), ())

        def step(features: Any) -> dict[str, Any]:
            return {
                name: _to_sparse(features[name]),
                weights: _to_sparse(tf.cast(features[weight.name], tf.float32)),
            }

        self.steps.append(step)
        return weights

    def _derived_name(self, name: str) -> str:
        name = self._new_name(name)
        self._named.add(name)
        return name

    def _new_name(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _copy_statistics(self, name: str, new: str) -> None:
        self._statistics += [
            dataclasses.replace(column, name=new)
            for column in self._statistics
            if column.name == name
        ]


def to_tokens(texts: Any) -> Any:
    """Returns the words of `[batch]` strings, in lower case, without ASCII's punctuation: sparse `[batch, longest]`."""
    plain = tf.strings.regex_replace(tf.strings.lower(texts, encoding="utf-8"), _PUNCTUATION, "")
    return tf.strings.split(plain).to_sparse()


def to_mean(lists: Any, default: float) -> Any:
    """Returns `[batch]` float32, the mean of each row's numbers; `default` for a row without any."""
    numbers = tf.cast(lists, tf.float32)
    rows, count = numbers.indices[:, 0], numbers.dense_shape[0]
    sums = tf.math.unsorted_segment_sum(numbers.values, rows, count)
    lengths = tf.math.unsorted_segment_sum(tf.ones_like(numbers.values), rows, count)
    return tf.where(lengths > 0, sums / tf.maximum(lengths, 1.0), default)


def _renamer(name: str, new: str) -> Step:
    return lambda features: {new: features[name]}


def _to_sparse(values: Any) -> Any:
    """Returns `[batch, n]` with every value in it; feature columns would drop weights of 0 and empty text alone."""
    if isinstance(values, tf.SparseTensor):
        return values
    values = tf.reshape(values, [tf.shape(values)[0], -1])
    everywhere = tf.where(tf.ones_like(values, tf.bool))
    return tf.SparseTensor(
        everywhere, tf.reshape(values, [-1]), tf.shape(values, out_type=tf.int64)
    )


def _days(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> statistics_lib.NumericStatistics:
    """Returns the statistics of a date in days since 1970."""
    known = statistics.column(feature.name)
    if isinstance(known, statistics_lib.NumericStatistics):
        unit = dates.UNITS_A_DAY[feature.date_format]
        moments = {
            field: getattr(known, field) / unit for field in ("mean", "stddev", "low", "high")
        }
        return statistics_lib.NumericStatistics(
            feature.name, "float32", known.count, known.missing, **moments
        )
    if known.days is None:
        raise errors.InputError(
            f"Expected statistics of dates for column '{feature.name}', found those of text. Remove statistics.pbtxt "
            f"from the model directory, so that it is made anew."
        )
    return known.days


def _part(
    name: str, part: str, days: statistics_lib.NumericStatistics
) -> tuple[schema_lib.Feature, statistics_lib.NumericStatistics]:
    """Returns a date's part as a feature, and what is known of its values."""
    kind = date_parts.PARTS[part]
    known = dataclasses.replace(days, name=name, dtype="float32")
    if kind.ids:
        feature = schema_lib.Feature(name, "int64", low=0, high=kind.ids - 1, categorical=True)
        return feature, dataclasses.replace(known, dtype="int64", low=0, high=kind.ids - 1)
    if kind.period:
        known = dataclasses.replace(known, mean=0.0, stddev=1.0, low=-1.0, high=1.0)
        return schema_lib.Feature(name, "float32", (2,), low=-1.0, high=1.0), known
    if part == "year":
        known = dataclasses.replace(
            known,
            mean=date_parts.year_of(days.mean),
            stddev=date_parts.years(days.stddev),
            low=date_parts.year_of(days.low),
            high=date_parts.year_of(days.high),
        )
    return schema_lib.Feature(name, "float32", low=known.low, high=known.high), known
