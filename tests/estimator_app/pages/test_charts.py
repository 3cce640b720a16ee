import base64
import io
import re

from PIL import Image
import numpy as np
import pytest

from estimator_app import number_text
from estimator_app.pages import charts


def test_a_png_holds_its_pixels() -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 5), (4, 2, 3)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        np.testing.assert_array_equal(Image.open(io.BytesIO(charts.png(pixels))), pixels)


def test_the_mean_and_the_first_pictures_are_shown() -> None:
    first = [np.full((6, 4, 1), value) for value in np.linspace(-1, 1, 12)]
    shown = charts.pictures(np.zeros((6, 4, 1)), first)
    mean, sheet = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"base64,([^\"]+)", shown)
    )
    assert mean.shape == (6, 4) and set(mean.ravel()) == {127}
    assert sheet.shape == (13, 49) and (sheet[0, 0], sheet[7, 6]) == (0, 255)


def test_bars_stand_as_high_as_their_counts_and_what_is_there_shows() -> None:
    shown = charts.histogram([[50, 100, 0, 0.001]], ["a", "b", "c", "<d>"], ("0", "4"))
    linear = shown[: shown.index('<g class="log">')]
    assert re.findall(r' height="([\d.]+)"', linear) == ["50.00", "100.00", "1.00"]
    assert "&lt;d&gt;" in linear and "<d>" not in shown


def test_text_of_the_data_cannot_become_html() -> None:
    shown = charts.values([('<script>"', [0.5, 0.25]), (" ", [0.5, 0.75])], "2 more")
    assert "<script>" not in shown and 'title="&lt;script&gt;&quot;"' in shown
    assert "50.0 % · 25.0 %" in shown and "&#x27; &#x27;" in shown


def test_no_share_has_no_bar() -> None:
    assert charts.values([("a", [0.5, 0.0])]).count('class="none"') == 1


def test_one_value_has_no_spread() -> None:
    assert not charts.spread([1.0] * 5, 1.0, 1.0, "all 1")
    assert 'style="left:50.00%"' in charts.spread([0.0, 1.0, 2.0, 3.0, 4.0], 0.0, 4.0, "0 to 4")


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (37, "37"),
        (38.5816, "38.58"),
        (189778.37, "189,778"),
        (1e-7, "1e-07"),
        (2e12, "2e+12"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert number_text.short(number) == text


@pytest.mark.parametrize(
    "share, text",
    [(0, "0 %"), (1, "100 %"), (0.125, "12.5 %"), (1e-5, "<0.1 %"), (0.9999, ">99.9 %")],
)
def test_almost_none_and_almost_all_are_told_apart_from_none_and_all(
    share: float, text: str
) -> None:
    assert number_text.percent(share) == text
