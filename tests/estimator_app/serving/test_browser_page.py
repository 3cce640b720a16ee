"""The page at `/`: what it is made of, and what a person sees and does in a real browser."""

import http.client
import itertools
import json
import shutil

import pytest

from estimator_app.serving import (
    browser_page,
    loaded_versions,
    model_config,
    model_table,
    models,
    request_metrics,
)
from tests import browser, running

_TIMEOUT_SECS = 30.0

needs_browser = pytest.mark.skipif(browser.PROGRAM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def base(examples_base, tmp_path_factory):
    """A base path of its own with version 3 of the model of Examples."""
    path = tmp_path_factory.mktemp("page") / "examples"
    shutil.copytree(examples_base, path)
    return path


@pytest.fixture(scope="module")
def site(base):
    with running.run_server(
        base,
        "--model_name=examples",
        "--rest_api_port=-1",
        "--rest_api_enable_browser_page",
        "--max_num_load_retries=0",
    ) as process:
        yield process


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as page:
        yield page


@pytest.fixture
def page(chromium, site):
    """The page, opened anew and with its form."""
    chromium.open(f"http://127.0.0.1:{site.rest_port}/")
    chromium.until("document.readyState === 'complete' && document.querySelector('.fields input')")
    return chromium


def _get(site, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", site.rest_port, timeout=_TIMEOUT_SECS)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def _choose(page, signature):
    page.run(
        "(() => { const select = document.querySelector('.signature');"
        f" select.value = {json.dumps(signature)}; select.dispatchEvent(new Event('change')); }})()"
    )


def _ask(page, text):
    """Types into the first field, presses the button, and gives what the page then shows."""
    page.run("document.querySelector('.fields input').select()")
    page.send("Input.insertText", text=text)
    page.run("document.querySelector('form button').click()")
    page.until("!document.querySelector('.answer').hidden")
    return [
        page.run(f"document.querySelector('{part}').textContent")
        for part in (".outcome", ".text", ".curl")
    ]


@pytest.mark.parametrize(
    "path, content_type",
    [
        ("/", "text/html; charset=utf-8"),
        ("/?from=mail", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/models.json", "application/json"),
    ],
)
def test_files_of_the_page(site, path, content_type):
    response, text = _get(site, path)
    assert (response.status, response.getheader("content-type")) == (200, content_type)
    assert "frame-ancestors 'none'" in response.getheader("content-security-policy")
    assert text


def test_what_is_no_file_of_the_page_is_not_found(site):
    for path in ("/index.html", "/../rest.py", "/%2e%2e/rest.py", "//page.js"):
        assert _get(site, path)[0].status == 404
    assert _get(site, "/", "POST")[0].status == 404


def test_page_is_there_with_the_flag_only(plain_server):
    connection = http.client.HTTPConnection("127.0.0.1", plain_server.rest_port)
    for path in ("/", "/models.json"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 404
    connection.close()


def test_models_with_versions_features_counts_and_latencies(site):
    connection = http.client.HTTPConnection("127.0.0.1", site.rest_port, timeout=_TIMEOUT_SECS)
    for signature in ("regression", "none"):
        body = {"signature_name": signature, "examples": [{"x": [1.0, 2.0]}]}
        connection.request("POST", "/v1/models/examples:regress", json.dumps(body))
        connection.getresponse().read()
    connection.close()
    (model,) = json.loads(_get(site, "/models.json")[1])
    assert model["name"] == "examples"
    assert model["versions"][-1] == {
        "version": "3",
        "state": "AVAILABLE",
        "error": "",
        "features": {"x": {"dtype": "float32", "shape": [2]}},
    }
    assert model["requests"]["OK"] >= 1 and model["requests"]["INVALID_ARGUMENT"] >= 1
    (regress,) = [cell for cell in model["latencies"] if cell["api"] == "regress"]
    assert regress["entrypoint"] == "REST" and regress["count"] >= 1
    assert 0 < regress["p50_usec"] <= regress["p99_usec"] and regress["mean_usec"] > 0


@needs_browser
def test_person_fills_in_a_row_and_sees_the_answer(page, site):
    _choose(page, "regression")
    assert page.run(
        "document.querySelector('.field').innerText.split(/\\s+/).join(' ')"
    ).strip() == ("x float32 [2]")
    outcome, text, curl = _ask(page, "3, 0.5")
    assert outcome.startswith("200 after ")
    assert json.loads(text) == {"results": [4.0]}
    assert curl == (
        """curl -d '{"signature_name": "regression", "examples": [{"x": [3.0, 0.5]}]}' """
        f"'http://127.0.0.1:{site.rest_port}/v1/models/examples/versions/3:regress'"
    )
    page.until("document.querySelector('.latencies').innerText.includes('regress')")
    assert page.complaints() == []


@needs_browser
def test_person_sees_signatures_with_types_and_shapes(page):
    _choose(page, "serving_default")
    assert page.run("document.querySelector('.method').textContent") == (
        "tensorflow/serving/predict: one row, each value as JSON"
    )
    assert page.run("document.querySelector('.field b').textContent") == "examples"
    assert page.run("document.querySelector('.field .hint').textContent") == "string [?]"
    assert "probabilities  float [?, 2]" in page.run(
        "document.querySelector('.outputs').textContent"
    )


@needs_browser
def test_person_sees_what_the_server_refuses(page):
    _choose(page, "serving_default")
    outcome, text, _ = _ask(page, "no Example")
    assert outcome.startswith("400 after ")
    assert "Could not parse example input, value: 'no Example'" in json.loads(text)["error"]
    assert page.run("document.querySelector('.outcome').classList.contains('alarm')")


@needs_browser
def test_version_that_does_not_load_and_its_error_come_up_by_themselves(page, base):
    assert page.run("document.querySelector('.versions').innerText").split() == ["3", "AVAILABLE"]
    page.run("document.querySelector('.fields input').value = 'half a row'")
    (base / "9").mkdir()
    try:
        page.until("document.querySelector('.versions .failed')")
        rows = page.run("document.querySelector('.versions').innerText")
        assert "END" in rows and "NOT_FOUND: Specified file path does not appear" in rows
        assert page.run("document.querySelector('.fields input').value") == "half a row"
    finally:
        (base / "9").rmdir()


def test_open_page_keeps_no_model_in_memory(base):
    """A model that is loaded when it is asked is as long unused as without the page."""
    ticks, made = itertools.count(), []

    def make_model(*what):
        shared = loaded_versions.LoadedVersions()
        made.append(
            models.ServedModel(*what, loaded_on_demand=shared, clock=lambda: float(next(ticks)))
        )
        return made[-1]

    table = model_table.ModelTable(make_model)
    table.reload(model_config.single_model("examples", str(base)))
    try:
        with table.acquire("examples"):
            pass
        used = made[0].last_used(3)
        page = browser_page.BrowserPage(table, request_metrics.RequestMetrics())
        (shown,) = json.loads(page.get("/models.json")[0])
        assert shown["versions"][0]["features"]["x"]["shape"] == [2]
        assert made[0].last_used(3) == used
    finally:
        table.stop()
