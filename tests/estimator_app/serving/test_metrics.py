"""The page for Prometheus as text, without a server."""

import pytest

from estimator_app.serving import metrics


def test_counter_adds_up_by_labels():
    counter = metrics.Counter("/tensorflow/serving/request_count", ("model_name", "status"))
    counter.add("b", "OK")
    counter.add("a", "NOT_FOUND", amount=2)
    counter.add("b", "OK")
    assert metrics.page([counter]) == (
        "# TYPE :tensorflow:serving:request_count counter\n"
        ':tensorflow:serving:request_count{model_name="a",status="NOT_FOUND"} 2\n'
        ':tensorflow:serving:request_count{model_name="b",status="OK"} 2\n'
    )


def test_histogram_has_cumulated_buckets_sum_and_count():
    histogram = metrics.Histogram("/x/y-z", ("API",), [1, 2.5])
    for value in (0.5, 1.0, 2.0, 300.25):
        histogram.add("Predict", value=value)
    assert metrics.page([histogram]).splitlines() == [
        "# TYPE :x:y:z histogram",
        ':x:y:z_bucket{API="Predict",le="1"} 1',
        ':x:y:z_bucket{API="Predict",le="2.5"} 3',
        ':x:y:z_bucket{API="Predict",le="+Inf"} 4',
        ':x:y:z_sum{API="Predict"} 303.75',
        ':x:y:z_count{API="Predict"} 4',
    ]


def test_metrics_stand_in_the_order_of_their_names_also_when_empty():
    page = metrics.page([metrics.Counter("/b", ()), metrics.Histogram("/a", (), [1])])
    assert page == "# TYPE :a histogram\n# TYPE :b counter\n"


def test_labels_are_escaped():
    counter = metrics.Counter("/c", ("model",))
    counter.add('a "b"\\c\nd')
    assert metrics.page([counter]).splitlines()[1] == r':c{model="a \"b\"\\c\nd"} 1'


def test_flood_of_names_ends_in_one_cell():
    counter = metrics.Counter("/c", ("model_name", "status"))
    histogram = metrics.Histogram("/h", ("model",), [1])
    for i in range(3000):
        counter.add(f"model {i}", "NOT_FOUND")
        histogram.add(f"model {i}", value=i)
    counter.add("model 0", "NOT_FOUND")
    cells = counter.cells()
    assert cells["(others)", "NOT_FOUND"] == 2000 and cells["model 0", "NOT_FOUND"] == 2
    assert len(cells) == len(histogram.cells()) == 1001
    assert sum(histogram.cells()["(others)",].counts) == 2000


@pytest.mark.parametrize(
    "counts, share, expected",
    [
        ([0, 0, 0], 0.5, 0.0),
        ([4, 0, 0], 0.5, 5.0),
        ([2, 2, 0], 0.75, 15.0),
        ([0, 0, 3], 0.99, 20.0),
    ],
)
def test_quantiles_are_read_off_the_buckets(counts, share, expected):
    assert metrics.quantile([10.0, 20.0], counts, share) == pytest.approx(expected)


def test_limits_grow_by_a_factor():
    assert metrics.exponential(1, 2, 15)[-1] == 2**14
