"""JSON as TF Serving reads, writes and quotes it.

The stock server uses RapidJSON; its layout, its number format and its parse errors are followed
here (TF Serving: util/json_tensor.cc), because people compare answers as text.
"""

import base64
import json
import re
import sys
from typing import Any

import numpy as np

from export import errors

_DEBUG_LIMIT = 256
_INDENT = 4
# A string that does not end counts to the end of the text, and nothing is tried twice: else a body of
# backslashes and quotes would take time by the square of its size.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRING_OR_INF = re.compile(_STRING + r"|(?<![\w.])Inf(?![\w.])", re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
# Python's sentence -> RapidJSON's.
_PARSE_ERRORS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Invalid control character at": "Invalid encoding in string.",
}


def parse_object(body: bytes) -> dict[str, Any]:
    """The object that a request's body begins with; what follows it is ignored.

    Strings keep bytes that are not UTF-8 as surrogate escapes. `NaN`, `Inf` and `Infinity` are
    numbers.

    Raises:
        errors.ServableError: the body is empty, no JSON, or no object.
    """
    if not body:
        raise errors.invalid_argument("JSON Parse error: The document is empty")
    text = body.decode("utf-8", "surrogateescape")
    try:
        value = _parse(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8", "surrogateescape"))
        raise errors.invalid_argument(
            f"JSON Parse error: {_parse_error(error)} at offset: {offset}"
        ) from error
    except (RecursionError, ValueError) as error:  # too deep, or an integer of too many digits
        raise errors.invalid_argument(
            "JSON Parse error: Terminate parsing due to Handler error. at offset: 0"
        ) from error
    if not isinstance(value, dict):
        raise format_error(value, "Is not object")
    return value


def _parse(text: str) -> Any:
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except json.JSONDecodeError:
        spelled = _STRING_OR_INF.sub(lambda m: "Infinity" if m[0] == "Inf" else m[0], text)
        if spelled == text:
            raise
    return json.JSONDecoder().raw_decode(spelled, start)[0]


def _parse_error(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "The document is empty."
    if error.msg == "Expecting ',' delimiter":
        open_brackets: list[str] = []
        for match in _STRING_OR_BRACKET.finditer(error.doc, 0, error.pos):
            if match[0] in "[{":
                open_brackets.append(match[0])
            elif match[0] in "]}" and open_brackets:
                open_brackets.pop()
        if open_brackets[-1:] == ["["]:
            return "Missing a comma or ] after an array element."
        return "Missing a comma or } after an object member."
    return _PARSE_ERRORS.get(error.msg, "Invalid value.")


def format_error(value: Any, text: str) -> errors.ServableError:
    """`JSON Value: <json> <text>`."""
    return errors.invalid_argument(f"JSON Value: {debug(value)} {text}")


def type_name(value: Any) -> str:
    """RapidJSON's name of a value's type."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, (int, float)):
        return "Number"
    if isinstance(value, str):
        return "String"
    return "Array" if isinstance(value, list) else "Object"


def debug(value: Any) -> str:
    """The value as messages quote it: lists on one line, cut once it has 256 bytes."""
    writer = Writer(_DEBUG_LIMIT)
    writer.single_line_arrays = True
    try:
        writer.value(value)
    except _LimitReached:
        pass
    return writer.text()


def encode(text: str) -> bytes:
    """A string's bytes; surrogate escapes become the bytes that they stand for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # the request wrote half a surrogate pair as \uXXXX
        return text.encode("utf-8", "surrogatepass")


def is_double(value: Any) -> bool:
    """Whether the value is a number that a float64 can hold, whatever its digits and its sign."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def is_base64(value: Any) -> bool:
    """Whether the value is `{"b64": "..."}` and nothing more."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: Any) -> bytes:
    """The bytes of `{"b64": "..."}`.

    Raises:
        errors.ServableError: the value is something else, or no base64.
    """
    if not is_base64(value):
        raise format_error(value, "not formatted correctly for base64 data")
    text = value["b64"].strip()
    try:
        padded = text + "=" * (-len(text) % 4) if "=" not in text else text
        return base64.b64decode(padded, validate=True)
    except ValueError as error:
        raise errors.invalid_argument("Unable to base64 decode") from error


def decimal(value: np.floating) -> str:
    """A float32 or float64: six digits if they read back exactly, else as many as it needs."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:g}"
    if type(value)(text) != value:
        text = f"{value:.{17 if isinstance(value, np.float64) else 9}g}"
    return text if "." in text or "e" in text else text + ".0"


class _LimitReached(Exception):
    """The text is as long as it may be."""


class Writer:
    """RapidJSON's PrettyWriter: one element a line, or lists on one line while that is asked for.

    Attributes:
        single_line_arrays: whether lists are written on one line from now on.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        """Starts an empty text; with a limit, it ends with the token that reaches the limit."""
        self.single_line_arrays = False
        self._limit_bytes = limit_bytes
        self._parts: list[str] = []
        self._size = 0
        # Of each open list or object: whether it is a list, and how much is in it.
        self._levels: list[list[int]] = []

    def text(self) -> str:
        """What was written."""
        return "".join(self._parts)

    def raw(self, text: str) -> None:
        """Writes a scalar that is JSON already."""
        self._prefix()
        self._put(text)

    def string(self, text: str) -> None:
        """Writes a string, or the key of an object's next member."""
        self.raw(json.dumps(text, ensure_ascii=False))

    def start(self, bracket: str) -> None:
        """Opens a list (`[`) or an object (`{`)."""
        self._prefix()
        self._levels.append([bracket == "[", 0])
        self._put(bracket)

    def end(self) -> None:
        """Closes the innermost list or object."""
        self._check_limit()
        is_list, count = self._levels.pop()
        if count and not (is_list and self.single_line_arrays):
            self._put_line()
        self._put("]" if is_list else "}")

    def value(self, value: Any) -> None:
        """Writes any parsed JSON."""
        if isinstance(value, dict):
            self.start("{")
            for key, item in value.items():
                self.string(key)
                self.value(item)
            self.end()
        elif isinstance(value, list):
            self.start("[")
            for item in value:
                self.value(item)
            self.end()
        elif isinstance(value, float):
            if not np.isfinite(value):  # RapidJSON writes none
                raise _LimitReached
            self.raw(repr(value).replace("e+", "e"))
        else:
            self.raw(json.dumps(value, ensure_ascii=False))

    def _check_limit(self) -> None:
        if self._limit_bytes is not None and self._size >= self._limit_bytes:
            raise _LimitReached

    def _put(self, text: str) -> None:
        self._parts.append(text)
        if self._limit_bytes is not None:
            self._size += len(encode(text))

    def _put_line(self) -> None:
        self._put("\n" + " " * (_INDENT * len(self._levels)))

    def _prefix(self) -> None:
        self._check_limit()
        if not self._levels:
            return
        level = self._levels[-1]
        is_list, count = level
        level[1] += 1
        if is_list:
            if count:
                self._put(", " if self.single_line_arrays else ",")
            if not self.single_line_arrays:
                self._put_line()
        elif count % 2:
            self._put(": ")
        else:
            if count:
                self._put(",")
            self._put_line()
