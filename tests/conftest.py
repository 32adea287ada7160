# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: a folder of their own, and after every test the count of what it left behind."""
from __future__ import annotations

import pathlib
import typing

import pytest
from harness import Bench, assert_nothing_left


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> typing.Iterator[None]:
    yield
    if not request.node.get_closest_marker("keeps"):
        assert_nothing_left()
