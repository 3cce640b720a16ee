"""The frame of a page: head, style, script, the bar that searches and sorts, cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import html
import importlib.resources
import os

escape = html.escape


def page(title: str, lead: str, body: Iterable[str]) -> str:
    """Returns a whole HTML document, which loads nothing.

    Args:
      title: of the window and the first head; plain text.
      lead: a sentence below it; plain text.
      body: parts of HTML.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_resource('style.css')}</style></head><body>",
            f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>',
            *body,
            f"<script>\n{_resource('script.js')}</script></body></html>\n",
        ]
    )


def write(text: str, path: str) -> None:
    """Writes the document, renamed into place.

    Raises:
      OSError: it cannot be written.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def tiles(values: Mapping[str, str], alarms: Sequence[str] = ()) -> str:
    """Returns a row of figures.

    Args:
      values: what it is -> the figure, both plain text.
      alarms: those of them that are shown in red.
    """
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile{" alarm" if name in alarms else ""}"><b>{escape(value)}</b>'
            f"<span>{escape(name)}</span></div>"
            for name, value in values.items()
        )
        + "</div>"
    )


def bar(orders: Mapping[str, str], extra: str = "") -> str:
    """Returns the bar that searches, filters and sorts the cards.

    Args:
      orders: name of a card's number, as `card` takes it -> what the order is called; the first is the one in force.
      extra: HTML at its end.
    """
    options = "".join(
        f'<option value="{key}">{escape(name)}</option>' for key, name in orders.items()
    )
    return (
        '<div class="bar"><input type="search" id="search" placeholder="Find a column" aria-label="Find a column">'
        '<select id="kind" aria-label="Kind"><option value="">all kinds</option>'
        '<option value="numbers">numbers</option><option value="text">text and classes</option></select>'
        f'<select id="order" aria-label="Order">{options}</select>'
        '<label><input type="checkbox" id="logs"> logarithmic counts</label>'
        f'{extra}<span class="shown" id="shown"></span></div>'
    )


def cards(items: Iterable[str]) -> str:
    """Returns the grid of cards."""
    return f'<main class="cards">{"".join(items)}</main>'


def card(
    name: str,
    kind: str,
    badges: Iterable[str],
    parts: Iterable[str],
    numbers: Mapping[str, float],
    wide: bool = False,
) -> str:
    """Returns the card of a column.

    Args:
      name: the column.
      kind: "numbers" or "text", for the filter.
      badges: HTML beside the name.
      parts: HTML below.
      numbers: what cards are sorted by.
      wide: whether it takes two places.
    """
    data = " ".join(f'data-{key}="{value:g}"' for key, value in numbers.items())
    return (
        f'<article class="card{" wide" if wide else ""}" data-name="{escape(name)}" data-kind="{kind}" {data}>'
        f'<div class="head"><h2>{escape(name)}</h2>{"".join(badges)}</div>{"".join(parts)}</article>'
    )


def badge(text: str, style: str = "") -> str:
    """Returns a small label.

    Args:
      text: plain text.
      style: "", "role", "alarm" or "fine".
    """
    return f'<span class="badge {style}">{escape(text)}</span>'


def facts(values: Mapping[str, str], alarms: Sequence[str] = ()) -> str:
    """Returns a list of figures; see `tiles`."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd{_alarm(name in alarms)}>{escape(value)}</dd></div>"
        for name, value in values.items()
    )
    return f'<dl class="facts">{rows}</dl>'


def _alarm(is_alarm: bool) -> str:
    return ' class="alarm-text"' if is_alarm else ""


def _resource(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
