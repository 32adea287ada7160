# SPDX-License-Identifier: Apache-2.0
"""The engine is killed and started again while what is kept warm waits, is lent and is shared."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing

import pytest
from harness import ENGINE, Bench, hawse, wait_for
from private_engine import PrivateEngine, Watched

pytestmark = pytest.mark.skipif(not ENGINE or os.geteuid() != 0 or shutil.which("dockerd") is None, reason="an engine of its own takes root and dockerd")
PYTHON = "%d.%d" % sys.version_info[:2]
NODES = """
    import os
    class Node(hawse.Node):
        def setup(self) -> None:
            print("in", os.uname().nodename, flush=True)
        def process(self, tensor: hawse.Tensor) -> None: ...
"""


@pytest.fixture(scope="module")
def engine() -> typing.Iterator[PrivateEngine]:
    made = PrivateEngine()
    try:
        made.start()
        if subprocess.run(["docker", "image", "inspect", f"hawse/python:{PYTHON}"], capture_output=True).returncode == 0:
            made.load(f"hawse/python:{PYTHON}")
        else:
            base = hawse("image", "base", "--python", PYTHON, env=made.env)
            assert base.returncode == 0, base.stdout + base.stderr
        yield made
    finally:
        made.remove()


class Warm:
    """A keeper of its own over that engine, and a pipeline without end."""

    def __init__(self, bench: Bench, engine: PrivateEngine, folder: str) -> None:
        self.bench, self.engine, self.folder = bench, engine, folder
        self.env = {**engine.env, "HAWSE_RUN": folder}

    def write(self, **more: object) -> None:
        self.bench.nodes(NODES)
        self.bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 50, "shape": [16]}},
                                    "node": {"node": "nodes.py:Node", "executor": "container", "container": {"python": PYTHON}, "restart": {"on": "failure", "attempts": 50, "backoff": "100ms"}, **more}},
                          "edges": ["source -> node"]})

    def hawse(self, *arguments: str | pathlib.Path) -> str:
        done = hawse(*arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kept(self) -> dict[str, typing.Any]:
        (line,) = json.loads(self.hawse("warm", "--ls", "--json"))
        return line  # type: ignore[no-any-return]

    def restart_engine(self) -> None:
        self.engine.kill()
        self.engine.start()


def hosts(run: Watched) -> list[str]:
    """Its node's containers, one a start."""
    return [each["text"].split()[1] for each in list(run.events) if each["event"] == "log" and each["text"].startswith("in ")]


def goes_on(run: Watched, starts: int) -> str:
    wait_for(lambda: len(hosts(run)) >= starts or run.process.poll() is not None, "its node has started")
    assert run.process.poll() is None, run.told()
    return hosts(run)[-1]


def stop(run: Watched) -> None:
    run.process.send_signal(2)
    assert run.finish().code == 130


@pytest.fixture
def warm(bench: Bench, engine: PrivateEngine) -> typing.Iterator[Warm]:
    engine.start()
    folder = tempfile.mkdtemp(prefix="hr", dir="/tmp")  # short: a socket's path has 107 characters
    made = Warm(bench, engine, folder)
    yield made
    engine.start()
    for run in Watched.started:
        if run.process.poll() is None:  # the test has failed
            run.process.kill()
    Watched.started.clear()
    hawse("warm", "--stop", env=made.env)
    wait_for(lambda: not list(pathlib.Path(folder).iterdir()) and engine.containers() == [], "keeper, sessions and containers are gone")
    pathlib.Path(folder).rmdir()


def test_what_waited_in_an_engine_that_was_killed_is_made_anew(warm: Warm) -> None:
    warm.write()
    warm.hawse("warm", warm.bench.pipeline)
    before = warm.kept()["where"]
    warm.restart_engine()
    wait_for(lambda: warm.kept()["waiting"] == 1 and warm.kept()["where"] != before, "another one waits")
    (waits,) = warm.kept()["where"]
    run = Watched(warm.bench, warm.env)
    assert goes_on(run, 1) == waits.removeprefix("container ")[:12]
    stop(run)


def test_a_node_in_a_lent_container_goes_on_in_another_one(warm: Warm) -> None:
    warm.write()
    warm.hawse("warm", warm.bench.pipeline)
    run = Watched(warm.bench, warm.env)
    had = goes_on(run, 1)
    wait_for(lambda: warm.kept()["lent"] == 1 and warm.kept()["waiting"] == 1, "the next one waits")
    warm.restart_engine()
    assert goes_on(run, 2) != had
    wait_for(lambda: warm.kept()["waiting"] == 1, "one waits again")
    stop(run)


def test_sharers_go_on_together_in_one_new_container(warm: Warm) -> None:
    warm.write(share=True)
    runs = [Watched(warm.bench, warm.env) for _ in range(2)]
    before = {goes_on(run, 1) for run in runs}
    assert len(before) == 1
    warm.restart_engine()
    after = {goes_on(run, 2) for run in runs}
    assert len(after) == 1 and after != before
    assert warm.kept()["sessions"] == 2
    for run in runs:
        stop(run)
