"""Charts as inline SVG and HTML: histograms, bars of values, pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
import math
import struct
import zlib

import numpy as np

from estimator_app import number_text
from estimator_app.pages.layout import escape

_WIDTH, _HEIGHT = 300.0, 100.0
_STYLES = ("first", "second")
_MAX_SIDE = 128  # pixels of a picture on a page
_MEAN_WIDTH, _SHEET_WIDTH = 140, 580  # on a screen


def histogram(
    series: Sequence[Sequence[float]], titles: Sequence[str], ends: tuple[str, ...], below: str = ""
) -> str:
    """Returns bars of the same width over a line, twice: for linear and for logarithmic counts.

    Args:
      series: one or two sequences of counts or shares >= 0, as many in each.
      titles: what each bar is, shown when it is pointed at; plain text.
      ends: labels below, from the left to the right end; plain text.
      below: HTML between the bars and the labels.
    """
    highest = max(max(counts, default=0.0) for counts in series) or 1.0
    lowest = min((n for counts in series for n in counts if n > 0), default=highest)
    log_range = math.log1p(highest / lowest)
    linear = _bars(series, titles, [[n / highest for n in counts] for counts in series])
    logs = _bars(
        series, titles, [[math.log1p(n / lowest) / log_range for n in counts] for counts in series]
    )
    both = " both" if len(series) > 1 else ""
    labels = "".join(f"<span>{escape(end)}</span>" for end in ends)
    return (
        f'<div class="chart{both}"><svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img">'
        f'<g class="linear">{linear}</g><g class="log">{logs}</g>'
        f'<line class="floor" x1="0" x2="{_WIDTH:g}" y1="{_HEIGHT:g}" y2="{_HEIGHT:g}"/></svg>{below}'
        f'<div class="ends">{labels}</div></div>'
    )


def spread(points: Sequence[float], low: float, high: float, title: str) -> str:
    """Returns where the middle of the values lies, to stand below their histogram; nothing if they are all one value.

    Args:
      points: the quantiles of 5, 25, 50, 75 and 95 %.
      low: left end of the histogram.
      high: right end.
      title: shown when it is pointed at; plain text.
    """
    if low == high:
        return ""
    scale = 100 / (high - low)
    p5, p25, p50, p75, p95 = ((point - low) * scale for point in points)
    return (
        f'<div class="spread" title="{escape(title)}"><i class="most" style="left:{p5:.2f}%;width:{p95 - p5:.2f}%"></i>'
        f'<i class="half" style="left:{p25:.2f}%;width:{p75 - p25:.2f}%"></i><i class="median" style="left:{p50:.2f}%">'
        "</i></div>"
    )


def missing(share: float) -> str:
    """Returns a line that is red where values are missing; nothing if none are."""
    if not share:
        return ""
    text = number_text.percent(share)
    return f'<div class="missing" title="missing: {text}"><i style="width:{share:.2%}"></i></div>'


def values(rows: Sequence[tuple[str, Sequence[float]]], rest: str = "") -> str:
    """Returns a bar, or two, for each value.

    Args:
      rows: the value and its share in each series, in [0, 1]; plain text.
      rest: what is said of those that are not shown; plain text, may be empty.
    """
    highest = max((share for _, shares in rows for share in shares), default=0.0) or 1.0
    items = []
    for value, shares in rows:
        bars = "".join(
            f'<i class="{style if share else "none"}" style="width:{share / highest:.1%}"></i>'
            for style, share in zip(_STYLES, shares)
        )
        text = " · ".join(number_text.percent(share) for share in shares)
        shown = value if value.strip() else repr(value)
        items.append(
            f'<li><span class="name" title="{escape(value)}">{escape(shown)}</span>'
            f'<span class="track">{bars}</span><span class="share">{text}</span></li>'
        )
    if rest:
        items.append(f'<li class="rest"><span class="name">{escape(rest)}</span></li>')
    both = " both" if rows and len(rows[0][1]) > 1 else ""
    return f'<ul class="values{both}">{"".join(items)}</ul>'


def pictures(mean: np.ndarray, first: Sequence[np.ndarray]) -> str:
    """Returns the mean of all pictures and some of them.

    Args:
      mean: [height, width] or [height, width, 1 or 3].
      first: at least one of the same shape.
    """
    low, high = min(map(np.min, first)), max(map(np.max, first))
    columns = min(len(first), 10)
    small = [_to_bytes(_shrink(picture), low, high) for picture in first]
    height, width = small[0].shape[:2]
    rows = math.ceil(len(small) / columns)
    sheet = np.zeros(
        (rows * (height + 1) - 1, columns * (width + 1) - 1, *small[0].shape[2:]), np.uint8
    )
    for number, picture in enumerate(small):
        y, x = number // columns * (height + 1), number % columns * (width + 1)
        sheet[y : y + height, x : x + width] = picture
    scale = max(1, _SHEET_WIDTH // sheet.shape[1])
    mean_scale = max(1, _MEAN_WIDTH // width)
    return (
        '<div class="pictures">'
        + _figure(_to_bytes(_shrink(mean), low, high), mean_scale, "mean")
        + _figure(sheet, scale, f"the first {len(small)}")
        + "</div>"
    )


def png(pixels: np.ndarray) -> bytes:
    """Returns a PNG file.

    Args:
      pixels: [height, width] or [height, width, 3] uint8.
    """
    colour = 2 if pixels.ndim == 3 else 0
    height, width = pixels.shape[:2]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _bars(
    series: Sequence[Sequence[float]], titles: Sequence[str], heights: Sequence[Sequence[float]]
) -> str:
    step = _WIDTH / max(len(titles), 1)
    gap = 0.12 * step
    bars = []
    for style, counts, of_series in zip(_STYLES, series, heights):
        for place, (title, count, height) in enumerate(zip(titles, counts, of_series)):
            if count > 0:
                tall = max(height * _HEIGHT, 1.0)  # what is there shows
                bars.append(
                    f'<rect class="{style}" x="{place * step + gap / 2:.2f}" y="{_HEIGHT - tall:.2f}" '
                    f'width="{step - gap:.2f}" height="{tall:.2f}"><title>{escape(title)}</title></rect>'
                )
    return "".join(bars)


def _figure(pixels: np.ndarray, scale: int, caption: str) -> str:
    height, width = pixels.shape[:2]
    data = base64.b64encode(png(pixels)).decode()
    return (
        f'<figure><img width="{width * scale}" height="{height * scale}" alt="{escape(caption)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _shrink(picture: np.ndarray) -> np.ndarray:
    """Without a channel that is alone, and every n-th pixel of a large one."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    step = math.ceil(max(picture.shape[:2]) / _MAX_SIDE)
    return picture[::step, ::step]


def _to_bytes(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (np.asarray(picture, np.float64) - low) / ((high - low) or 1)
    return (np.nan_to_num(scaled).clip(0, 1) * 255).astype(np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
