"""The file of `--features`, read and checked as far as that can be done without the data."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from estimator_app import feature_file
from estimator_app.models import date_parts, feature_kinds
from estimator_app.models.feature_config import (
    Column,
    Cross,
    FeatureConfig,
    SharedEmbedding,
    Treatment,
    fail,
    nearest,
)

CROSSES = "crosses"
SHARED_EMBEDDINGS = "shared_embeddings"
IGNORE = "ignore"
NATURES = ("plain", "text")

_PARTS = ("deep", "wide")
_NOTHING: Mapping[str, Any] = {}


def read(path: str) -> FeatureConfig:
    """Returns what the file says; without a path, nothing.

    Raises:
      SettingsError: it cannot be read, or says what has no meaning.
    """
    if not path:
        return FeatureConfig()
    found = feature_file.read(path)
    treatments: dict[str, Treatment] = {}
    crosses: tuple[Cross, ...] | None = None
    shared: tuple[SharedEmbedding, ...] = ()
    for name, value in found.items():
        where = f"{path}, line {found.lines[name]}"
        if name == CROSSES:
            crosses = tuple(_cross(path, item, where) for item in _items(value, CROSSES, where))
        elif name == SHARED_EMBEDDINGS:
            shared = tuple(_shared(path, item, where) for item in _items(value, name, where))
        else:
            treatments[name] = _treatment(value, f"{where}, feature '{name}'")
    return FeatureConfig(path, treatments, crosses, shared)


def _treatment(value: Any, where: str) -> Treatment:
    if value == IGNORE:
        return Treatment((), (), ignored=True, where=where)
    if isinstance(value, str) and value in NATURES:
        return Treatment(nature=value, where=where)
    if not isinstance(value, feature_file.Mapping) or not set(value) & {*_PARTS, "kind", "date"}:
        columns = _columns(value, where)
        return Treatment(columns, _as_wide(columns), where=where)
    rest = feature_file.Mapping(value.line)
    rest.update({name: item for name, item in value.items() if name not in ("kind", "date")})
    nature = value.get("kind", "")
    if "kind" in value and nature not in NATURES:
        fail(where, f"kind to be one of {', '.join(NATURES)}", repr(nature), "Correct it")
    parts = _date_parts(value["date"], where) if "date" in value else None
    if set(rest) & set(_PARTS):
        other = sorted(set(rest) - set(_PARTS))
        if other:
            fail(where, "deep and wide alone", ", ".join(other), "Move it below deep or wide")
        deep, wide = (
            _columns(rest[part], where, may_ignore=True) if part in rest else None
            for part in _PARTS
        )
        return Treatment(deep, wide, nature=nature, date_parts=parts, where=where)
    if not rest:
        return Treatment(nature=nature, date_parts=parts, where=where)
    columns = _columns(rest, where)
    return Treatment(columns, _as_wide(columns), nature=nature, date_parts=parts, where=where)


def _as_wide(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Returns a deep part's columns as the wide part has them: a linear model weighs categories as they are."""
    return tuple(dataclasses.replace(column, dense="", embedding=_NOTHING) for column in columns)


def _date_parts(value: Any, where: str) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if part not in date_parts.PARTS:
            fail(
                where,
                f"parts of a date ({', '.join(date_parts.PARTS)})",
                repr(part),
                nearest(str(part), date_parts.PARTS),
            )
    return tuple(dict.fromkeys(parts))


def _columns(value: Any, where: str, may_ignore: bool = False) -> tuple[Column, ...]:
    if may_ignore and value == IGNORE:
        return ()
    if isinstance(value, list) and value:
        return tuple(_column(item, where) for item in value)
    return (_column(value, where),)


def _column(value: Any, where: str) -> Column:
    """Returns one column from `numeric`, or from a mapping such as {hash_bucket: 100, embedding: 8}."""
    given = {value: None} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not given:
        fail(
            where,
            f"{IGNORE}, a kind ({', '.join(feature_kinds.KINDS)}), or kinds with their options",
            repr(value),
            "Write for example 'embedding: {dimension: 8}'",
        )
    for kind in given:
        if kind not in feature_kinds.KINDS:
            fail(
                where,
                f"one of {', '.join([*feature_kinds.KINDS, IGNORE, *NATURES])}",
                repr(kind),
                nearest(kind, [*feature_kinds.KINDS, IGNORE, *NATURES, *_PARTS, "kind", "date"]),
            )
    options = {kind: _options(kind, item, where) for kind, item in given.items()}
    bases = [kind for kind in given if kind in feature_kinds.BASES]
    dense = [kind for kind in ("indicator", "embedding") if kind in given]
    for group in (bases, dense):
        if len(group) > 1:
            fail(
                where,
                f"one of {' and '.join(group)}",
                "both",
                "Leave one out, or write several columns in brackets, [{...}, {...}]",
            )
    base = bases[0] if bases else ""
    around = [kind for kind in given if kind not in feature_kinds.BASES]
    if base == "numeric" and around:
        fail(where, f"categories below {around[0]}", "numeric", "Take bucketized, or leave one out")
    column = Column(
        base=base,
        options=options[base] if base else _NOTHING,
        weight_feature=options.get("weighted_categorical", _NOTHING).get("weight_feature", ""),
        dense=dense[0] if dense else "",
        embedding=options.get("embedding", _NOTHING),
        where=where,
    )
    _check_column(column, "weighted_categorical" in given)
    return column


def _check_column(column: Column, is_weighted: bool) -> None:
    given, where = column.options, column.where
    required = {
        "bucketized": ("boundaries", "quantiles"),
        "vocabulary_list": ("values",),
        "vocabulary_file": ("path",),
        "hash_bucket": ("size",),
        "identity": ("num_buckets",),
    }
    names = required.get(column.base, ())
    if names and len(set(names) & set(given)) != 1:
        found = "both" if set(names) <= set(given) and len(names) > 1 else "none"
        fail(where, f"{' or '.join(names)} of {column.base}", found, "Give one")
    if {"num_oov_buckets", "default_value"} <= set(given):
        fail(
            where,
            f"num_oov_buckets or default_value of {column.base}",
            "both",
            "Leave one out: a value outside the vocabulary goes to one of them",
        )
    if is_weighted and (not column.weight_feature or column.base == "bucketized"):
        fail(
            where,
            "weighted_categorical to name the weight_feature of categories",
            column.base or "none",
            "Write for example 'weighted_categorical: {weight_feature: score}'",
        )
    if ("checkpoint" in column.embedding) != ("tensor" in column.embedding):
        fail(
            where,
            "checkpoint and tensor of the embedding",
            "one of them",
            "Give both: the file and the name of the weights in it",
        )


def _options(kind: str, value: Any, where: str) -> dict[str, Any]:
    """Returns the options of a kind, checked."""
    known = feature_kinds.KINDS[kind]
    if value is None or (value is True and not known):
        return {}
    if not isinstance(value, Mapping):
        for name, option in known.items():
            if option.accepts(value):
                return {name: value}
        # To name the option that was meant: of a list that which takes lists.
        return _options(kind, {next(iter(known), "true"): value}, where)
    return {name: _option(kind, name, item, known, where) for name, item in value.items()}


def _option(
    kind: str, name: str, value: Any, known: Mapping[str, feature_kinds.Option], where: str
) -> Any:
    if name not in known:
        fail(
            where,
            f"options of {kind} ({', '.join(known) or 'none'})",
            repr(name),
            nearest(name, known),
        )
    if isinstance(value, str) and not known[name].accepts(value):
        # YAML 1.1 takes 1e-3 for text.
        try:
            value = float(value)
        except ValueError:
            pass
    if not known[name].accepts(value):
        fail(where, f"{name} of {kind} to be {known[name].what}", repr(value), "Correct it")
    return value


def _items(value: Any, name: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        fail(where, f"{name} to be a list", repr(value), "Begin each of its lines with '- '")
    return value


def _cross(path: str, value: Any, where: str) -> Cross:
    where = f"{path}, line {getattr(value, 'line', where)}, {CROSSES}"
    taken = {"keys", "hash_bucket_size", "indicator", "embedding"}
    if not isinstance(value, Mapping) or not {"keys", "hash_bucket_size"} <= set(value):
        fail(
            where,
            "keys and hash_bucket_size",
            repr(value),
            "Write for example '{keys: [education, gender], hash_bucket_size: 1000}'",
        )
    for name in value:
        if name not in taken:
            fail(where, f"{', '.join(sorted(taken))}", repr(name), nearest(name, taken))
    size, keys = value["hash_bucket_size"], value["keys"]
    if not feature_kinds.whole(1).accepts(size):
        fail(where, "hash_bucket_size to be a whole number >= 1", repr(size), "Correct it")
    if not isinstance(keys, list) or len(keys) < 2:
        fail(where, "two keys or more", repr(keys), "Name the features to cross in brackets")
    dense = {kind: value[kind] for kind in ("indicator", "embedding") if kind in value}
    column = _column(dense, where) if dense else Column(where=where)
    return Cross(tuple(_key(key, where) for key in keys), size, column)


def _key(key: Any, where: str) -> tuple[str, Column | None]:
    if isinstance(key, str):
        return key, None
    if isinstance(key, Mapping) and len(key) == 1:
        ((name, buckets),) = key.items()
        return name, _column({"bucketized": buckets}, where)
    return fail(
        where,
        "keys to be features, or features with boundaries",
        repr(key),
        "Write for example '[education, {age: [30, 50]}]'",
    )


def _shared(path: str, value: Any, where: str) -> SharedEmbedding:
    where = f"{path}, line {getattr(value, 'line', where)}, {SHARED_EMBEDDINGS}"
    features = value.get("features") if isinstance(value, Mapping) else None
    if (
        not isinstance(features, list)
        or len(features) < 2
        or not all(isinstance(name, str) for name in features)
    ):
        fail(
            where,
            "features, two or more",
            repr(value),
            "Write for example '{features: [home, work], hash_bucket: 1000, dimension: 8}'",
        )
    known = ("features", *feature_kinds.OF_IDS, *feature_kinds.EMBEDDING)
    given: dict[str, Any] = {"embedding": {}}
    for name, item in value.items():
        if name not in known:
            fail(where, f"{', '.join(known)}", repr(name), nearest(name, known))
        if name in feature_kinds.EMBEDDING:
            given["embedding"][name] = item
        elif name != "features":
            given[name] = item
    return SharedEmbedding(tuple(features), _column(given, where))
