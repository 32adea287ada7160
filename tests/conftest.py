# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: a folder of their own, and after every test the count of what it left behind."""
from __future__ import annotations

import pathlib
import shutil
import tempfile
import typing

import pytest
from harness import Bench, assert_nothing_left
from sight import Sight


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> typing.Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sight(bench: Bench) -> typing.Iterator[Sight]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sight", dir="/tmp"))  # short: a socket's path has 107 characters
    made = Sight(bench, folder / "run")
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> typing.Iterator[None]:
    yield
    if not request.node.get_closest_marker("keeps"):
        assert_nothing_left()
