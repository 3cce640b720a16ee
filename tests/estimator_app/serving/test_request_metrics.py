"""What is counted of requests, without a server."""

import pytest

from estimator_app.serving import request_metrics
from export import errors
from serving_client import wire


def _lines(counted, metric):
    return [line for line in counted.page().splitlines() if line.startswith(f":{metric}")]


def test_examples_of_multi_inference_are_counted():
    counted = request_metrics.RequestMetrics()
    answer = wire.MultiInferenceResponse()
    methods = counted.counted_rpcs({"MultiInference": lambda request, timeout_ms: answer})
    request = wire.MultiInferenceRequest()
    request.tasks.add().model_spec.name = "census"
    for _ in range(3):
        request.input.example_list_with_context.examples.add()
    assert methods["MultiInference"](request, 0) is answer
    name = "tensorflow:serving:request_example_count"
    assert _lines(counted, f"{name}_total") == [f':{name}_total{{model="census"}} 3']
    assert _lines(counted, f"{name}s_bucket")[:4] == [
        f':{name}s_bucket{{model="census",le="{limit}"}} {count}'
        for limit, count in (("1", 0), ("2", 0), ("4", 1), ("8", 1))
    ]
    assert _lines(counted, "tensorflow:serving:request_count") == []


def test_run_counts_for_the_request_that_it_is_made_for():
    counted = request_metrics.RequestMetrics()
    counted.add_run(1.0)  # a warm-up, or a caller of the library
    with counted.request(request_metrics.REST) as call:
        call.model_name, call.api = "census", "classify"
        counted.add_run(0.5)
    counted.add_run(1.0)
    labels = 'model_name="census",API="Classify",runtime="TF1"'
    assert _lines(counted, "tensorflow:serving:runtime_latency_sum") == [
        f":tensorflow:serving:runtime_latency_sum{{{labels}}} 500000.0"
    ]


@pytest.mark.parametrize(
    "error, status",
    [
        (errors.ServableError(errors.Code.UNAVAILABLE, "full"), "UNAVAILABLE"),
        (ZeroDivisionError(), "INTERNAL"),
    ],
)
def test_failure_counts_with_its_code_and_has_no_latency(error, status):
    counted = request_metrics.RequestMetrics()
    with pytest.raises(type(error)):
        with counted.request(request_metrics.GRPC, "Predict", "census"):
            raise error
    assert _lines(counted, "tensorflow:serving:request_") == [
        f':tensorflow:serving:request_count{{model_name="census",status="{status}"}} 1'
    ]
