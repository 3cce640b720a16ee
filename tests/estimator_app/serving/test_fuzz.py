"""A few random requests, files and answers of each kind, and every one that ever went wrong."""

import psutil
import pytest

from tests.fuzz import runs, targets

_EXAMPLES = 60
_NAMES = [
    "grpc.Predict",
    "grpc.Classify",
    "grpc.Regress",
    "grpc.MultiInference",
    "grpc.GetModelMetadata",
    "grpc.GetModelStatus",
    "grpc.HandleReloadConfigRequest",
    "rest",
    "bytes.grpc",
    "bytes.rest",
    "files",
    "client.tensor",
    "client.grpc",
    "client.rest",
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    with targets.all_targets(folder, runs.write_models(folder)) as (server, everything):
        yield server, {target.name: target for target in everything}


@pytest.mark.parametrize("name", _NAMES)
def test_nothing_breaks(fuzzed, name):
    server, by_name = fuzzed
    for path in runs.corpus(by_name[name]):
        by_name[name].check(path.read_bytes())
    tried, case, found = runs.run(by_name[name], _EXAMPLES, seed=1)
    assert (case, found) == (None, "")
    assert tried >= _EXAMPLES
    assert server.process.poll() is None


def test_every_target_is_tried_and_every_kept_case_has_one(fuzzed):
    _, by_name = fuzzed
    assert sorted(by_name) == sorted(_NAMES)
    assert {path.name for path in runs.CORPUS.iterdir()} <= set(_NAMES)


def test_a_case_that_goes_wrong_is_found_and_made_small(fuzzed):
    _, by_name = fuzzed

    def check(data):
        assert b"\0" not in data, "a zero"

    target = targets.Target("zeros", by_name["bytes.rest"].cases, check)
    tried, case, found = runs.run(target, 200, seed=1)
    assert tried > 1 and case == b"\0" and "a zero" in found


def test_the_log_holds_no_traceback_and_the_server_is_no_larger(fuzzed):
    server, _ = fuzzed
    assert "Traceback" not in server.log.read_text()
    assert psutil.Process(server.process.pid).memory_info().rss < 2 * 2**30
