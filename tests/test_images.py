# SPDX-License-Identifier: Apache-2.0
"""`hawse image ls` and `prune`: who uses an environment, and that nothing goes that somebody uses."""
from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest
from environments import Place, make_wheel
from harness import HAWSE, WATCHDOG_S, Bench, hawse, needs_engine, wait_for

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}  # so that no image of this machine is touched


@pytest.fixture
def place(bench: Bench) -> Place:
    place = Place(bench)
    place.env.update(NO_ENGINE)
    make_wheel(place.index, "thing", "1.5")
    bench.nodes(
        """
        class Waits(hawse.Node):
            def setup(self, wait: bool = True):
                import thing
                self.wait = wait
                print(thing.version)

            def produce(self) -> hawse.Text:
                import sys, time
                while self.wait:
                    time.sleep(0.05)
                    yield hawse.Text("x")
        """
    )
    bench.write({"nodes": {"waits": {"node": "nodes.py:Waits", "python": {"packages": ["thing"]}}, "sink": {"node": "test/sink"}}, "edges": ["waits -> sink"]})
    return place


def test_what_a_running_session_uses_is_shown_and_kept_and_goes_after_it(place: Place, bench: Bench) -> None:
    process = bench.start(env=place.env)
    try:
        for line in process.stdout:  # type: ignore[union-attr]
            if '"running"' in line:
                break
        (packages,) = place.listed("packages")
        assert packages["what"].endswith(": thing 1.5")
        assert packages["pipelines"] == [str(bench.pipeline)]
        assert packages["used_by"] == [f"{bench.pipeline} (process {process.pid})"]
        assert f"now: {bench.pipeline}" in place.ok("image", "ls")
        told = place.ok("image", "prune", "--older-than", "0s")
        assert "kept packages" in told and f"used by {bench.pipeline}" in told and "0 removed" in told
    finally:
        process.kill()  # the hard way: its use ends with it
        bench.finish(process)
    assert place.listed("packages")[0]["used_by"] == []
    told = place.ok("image", "prune", "--older-than", "0s", "--dry-run")
    assert "would remove packages" in told and "1 would be removed" in told
    assert pathlib.Path(packages["place"]).is_dir()
    assert "0 removed" in place.ok("image", "prune", "--older-than", "1d")
    assert "1 removed" in place.ok("image", "prune", "--older-than", "0s")
    assert place.listed("packages") == [] and not pathlib.Path(packages["place"]).exists()


def test_prune_by_size_takes_the_longest_unused_until_the_rest_fits(place: Place, bench: Bench) -> None:
    make_wheel(place.index, "other", "1.0")
    place.ok("build", bench.pipeline)
    first = place.listed("packages")[0]

    time.sleep(1.1)  # last use is kept in seconds
    bench.write({"nodes": {"waits": {"node": "nodes.py:Waits", "python": {"packages": ["thing", "other"]}}, "sink": {"node": "test/sink"}}, "edges": ["waits -> sink"]})
    place.ok("build", bench.pipeline)
    both = place.listed("packages")
    size = sum(each["bytes"] for each in both)
    assert len(both) == 2 and "0 removed" in place.ok("image", "prune", "--keep", f"{size}")
    told = place.ok("image", "prune", "--keep", f"{size - 1}")
    assert f"removed packages {first['name']}" in told and "1 removed" in told
    assert len(place.listed("packages")) == 1


def test_prune_says_what_is_no_size_or_duration(place: Place) -> None:
    for option, value in (("--keep", "much"), ("--older-than", "long")):
        refused = place.hawse("image", "prune", option, value)
        assert refused.returncode == 2 and option in refused.stderr and "hint: write" in refused.stderr


def in_engine(what: str) -> list[str]:
    """What builds have made that is no image of ours yet: containers ("ps -a") or images."""
    dangling = ["--filter", "dangling=true"] if what == "images" else ["-a"]
    return subprocess.run(["docker", what, "-q", *dangling, "--filter", "label=hawse.builder"], capture_output=True, text=True, timeout=WATCHDOG_S).stdout.split()


@needs_engine
@pytest.mark.parametrize("how", ["a run", "prune"])
def test_what_a_killed_build_left_in_the_engine_goes(bench: Bench, how: str) -> None:
    bench.nodes("""
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    manifest = {"source": {"node": "test/source", "params": {"count": 1}}, "node": {"node": "nodes.py:Node", "executor": "container", "container": {"apt": ["hello", "cowsay"]}}}
    bench.write({"nodes": manifest, "edges": ["source -> node"]})
    env = {**os.environ, "HAWSE_STATE": str(bench.folder / "state")}
    before = set(in_engine("images"))
    build = subprocess.Popen([os.fspath(HAWSE), "build", str(bench.pipeline)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: in_engine("ps") or build.poll() is not None, "it installs")
    build.kill()
    build.wait()
    wait_for(lambda: in_engine("ps") == [], "its engine has seen it hang up")
    assert set(in_engine("images")) - before, "else this tests nothing"
    if how == "prune":
        done = hawse("image", "prune", "--older-than", "9999d", env=env)
        assert done.returncode == 0 and "that killed builds had left" in done.stdout, done.stdout + done.stderr
    else:
        del manifest["node"]["container"]  # type: ignore[attr-defined]
        bench.write({"nodes": manifest, "edges": ["source -> node"]})
        bench.run_ok()
    wait_for(lambda: not set(in_engine("images")) - before, "it is gone")
