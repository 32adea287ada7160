# SPDX-License-Identifier: Apache-2.0
"""JSON: the standard library's where there is one, else a small reader and writer (Debian's python3-minimal has none).

The small pair covers what control messages and JSON frames need: strict RFC 8259 text in, ASCII out.
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE = " \t\n\r"


def small_loads(text: str) -> Any:
    value, at = _value(text, _skip(text, 0))
    if _skip(text, at) != len(text):
        raise ValueError(f"extra data at character {at}")
    return value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _value(text: str, at: int) -> tuple[Any, int]:
    head = text[at : at + 1]
    if head == '"':
        return _string(text, at + 1)
    if head == "{":
        return _object(text, _skip(text, at + 1))
    if head == "[":
        return _array(text, _skip(text, at + 1))
    for word, value in (("true", True), ("false", False), ("null", None)):
        if text.startswith(word, at):
            return value, at + len(word)
    return _number(text, at)


def _number(text: str, at: int) -> tuple[Any, int]:
    end = at
    while end < len(text) and text[end] in "+-0123456789.eE":
        end += 1
    digits = text[at:end]
    if not digits or digits[0] not in "-0123456789":
        raise ValueError(f"no value at character {at}")
    return (float(digits) if any(c in digits for c in ".eE") else int(digits)), end


def _string(text: str, at: int) -> tuple[str, int]:
    parts = []
    while True:
        end = at
        while text[end : end + 1] not in ('"', "\\", ""):
            end += 1
        parts.append(text[at:end])
        head = text[end : end + 1]
        if head == '"':
            return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace"), end + 1
        if not head:
            raise ValueError("a string has no end")
        escape = text[end + 1 : end + 2]
        if escape == "u":
            parts.append(chr(int(text[end + 2 : end + 6], 16)))
            at = end + 6
        elif escape in _ESCAPES and escape:
            parts.append(_ESCAPES[escape])
            at = end + 2
        else:
            raise ValueError(f"no such escape at character {end}")


def _array(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    if text[at : at + 1] == "]":
        return values, at + 1
    while True:
        value, at = _value(text, _skip(text, at))
        values.append(value)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return values, at + 1
        if text[at : at + 1] != ",":
            raise ValueError(f"',' or ']' expected at character {at}")
        at += 1


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    if text[at : at + 1] == "}":
        return values, at + 1
    while True:
        at = _skip(text, at)
        if text[at : at + 1] != '"':
            raise ValueError(f"a name expected at character {at}")
        name, at = _string(text, at + 1)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"':' expected at character {at}")
        values[name], at = _value(text, _skip(text, at + 1))
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return values, at + 1
        if text[at : at + 1] != ",":
            raise ValueError(f"',' or '}}' expected at character {at}")
        at += 1


def small_dumps(value: Any) -> str:
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"JSON has no {value}")
        return float.__repr__(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(small_dumps(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(str(name))}:{small_dumps(item)}" for name, item in value.items()) + "}"
    raise TypeError(f"JSON has no {type(value).__name__}")


def _quoted(text: str) -> str:
    out = ['"']
    for c in text:
        if c in '"\\':
            out.append("\\" + c)
        elif " " <= c <= "~":
            out.append(c)
        else:
            units = c.encode("utf-16-be", "surrogatepass")
            out.extend(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    out.append('"')
    return "".join(out)


try:
    import json as _json
except ImportError:
    loads, dumps = small_loads, small_dumps
else:
    def loads(text: str) -> Any:
        return _json.loads(text)

    def dumps(value: Any) -> str:
        return _json.dumps(value, separators=(",", ":"), allow_nan=False)
