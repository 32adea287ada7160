# SPDX-License-Identifier: Apache-2.0
"""The small JSON reader and writer against the standard library's."""
import json

import pytest

from hawse._json import small_dumps, small_loads

VALUES = [None, True, False, 0, -1, 10**30, 1.5, -2e-9, 1e300, "", "text", 'a "quoted" \\ line\n\t\x01', "Zürich 🚢 日本", [], [1, [2, [3]]], {},
          {"a": {"b": [None, True, {"c": "d"}]}, "": 1}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_writes_what_the_standard_library_reads(value):
    assert json.loads(small_dumps(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_reads_what_the_standard_library_writes(value, indent, ascii_only):
    assert small_loads(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) == value


@pytest.mark.parametrize("text", ["", "{", "[1,", '{"a"}', '{"a":1,}x', "tru", "'a'", '"a', '"\\x"', "[1 2]", "1 2", "--1", "{1:2}"])
def test_refuses_what_is_no_json(text):
    with pytest.raises(ValueError):
        small_loads(text)


def test_refuses_to_write_what_json_has_not():
    with pytest.raises(ValueError):
        small_dumps(float("nan"))
    with pytest.raises(TypeError):
        small_dumps({"a": object()})
