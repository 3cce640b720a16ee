"""Runs of targets: so many cases of a seed each, and the corpus of those that once went wrong."""

from collections.abc import Iterator
import pathlib

import hypothesis

from tests import saved_models
from tests.fuzz import targets

CORPUS = pathlib.Path(__file__).parent / "corpus"


def run(target: targets.Target, examples: int, seed: int) -> tuple[int, bytes | None, str]:
    """Gives a target random cases.

    Returns:
        how many were tried; the smallest that something does not hold for, and what; None and "" if it
        held for all.
    """
    tried = 0
    last = b""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(target.cases)
    def each(case: bytes) -> None:
        nonlocal tried, last
        tried, last = tried + 1, case
        target.check(case)

    try:
        each()
    except Exception as error:  # whatever the target lets out is a finding
        return tried, last, f"{type(error).__name__}: {error}"
    return tried, None, ""


def corpus(target: targets.Target) -> Iterator[pathlib.Path]:
    """The kept cases of a target: files `corpus/<target>/<what it is>`."""
    yield from sorted((CORPUS / target.name).glob("*"))


def write_models(folder: pathlib.Path) -> pathlib.Path:
    """Writes the models that the server's targets ask, and gives their config file."""
    saved_models.write_plain_model(folder / "plain", 5)
    saved_models.write_examples_model(folder / "examples", 3)
    entries = [
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
        for name in ("plain", "examples")
    ]
    config = folder / "models.txt"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    return config
