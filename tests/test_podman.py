# SPDX-License-Identifier: Apache-2.0
"""A short look at Podman's Docker-compatible service; HAWSE_TEST_ENGINE=podman runs any other test over it."""
from __future__ import annotations

import os
import signal
import subprocess
import typing

import podman_engine
import pytest
from harness import Bench, Run, hawse
from podman_engine import PodmanEngine
from private_engine import Watched

pytestmark = pytest.mark.skipif(bool(podman_engine.why_not()), reason=podman_engine.why_not())


@pytest.fixture(scope="module")
def podman() -> typing.Iterator[PodmanEngine]:
    engine = PodmanEngine()
    try:
        if not engine.load_base():
            base = hawse("image", "base", "--python", podman_engine.PYTHON.split(":")[1], env={**os.environ, "DOCKER_HOST": engine.host})
            assert base.returncode == 0, base.stdout + base.stderr
        yield engine
    finally:
        engine.remove()


def run(bench: Bench, podman: PodmanEngine, how: str, **node: object) -> Run:
    bench.nodes(f"""
        import os, socket
        class Boxed(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                {how}
                return self.output.like(tensor)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 50, "shape": [256]}}, "sink": {"node": "test/sink"},
                           "boxed": {"node": "nodes.py:Boxed", "executor": "container", **node}}, "edges": ["source -> boxed -> sink"]})
    done = bench.finish(bench.start(env={**os.environ, "DOCKER_HOST": podman.host}))
    assert subprocess.run([*podman.command, "ps", "--all", "--quiet"], capture_output=True, check=True).stdout == b"", "a container is left"
    return done


def test_frames_pass_through_a_container_of_podman_without_a_copy(bench: Bench, podman: PodmanEngine) -> None:
    done = run(bench, podman, "pass")
    assert done.code == 0, done.events
    assert done.edge("boxed", "sink")["received"] == 50 and done.edge("source", "boxed")["copies"] == 0
    assert done.node("boxed")["where"].startswith("container")


def test_a_container_of_podman_is_closed_as_one_of_docker_is(bench: Bench, podman: PodmanEngine) -> None:
    done = run(bench, podman, "print(sorted(os.listdir('/sys/class/net')), os.path.exists('/dev/shm'), os.getuid(), "
                              "[line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))], os.access('/', os.W_OK)) if tensor.sequence == 1 else None")
    assert done.code == 0, done.events
    assert done.log("boxed") == ["['lo'] False 65534 ['0000000000000000', '1'] False"]


def test_a_node_that_fails_in_podman_is_told_and_started_again(bench: Bench, podman: PodmanEngine) -> None:
    done = run(bench, podman, "tensor.given_again or tensor.sequence != 9 or os._exit(3)", restart={"on": "failure", "attempts": 3, "backoff": 0})
    assert done.code == 0, done.events
    assert [each["text"] for each in done.of("failure")] == ["exited with code 3"]
    assert done.node("boxed")["restarts"] == 1


def test_a_node_goes_on_where_the_service_is_killed_and_started_again(bench: Bench, podman: PodmanEngine) -> None:
    bench.nodes("""
        class Boxed(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                return self.output.like(tensor)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 50, "shape": [16]}}, "sink": {"node": "test/sink"},
                           "boxed": {"node": "nodes.py:Boxed", "executor": "container"}}, "edges": ["source -> boxed -> sink"]})
    watched = Watched(bench, {**os.environ, "DOCKER_HOST": podman.host})
    try:
        watched.until("session", state="running")
        podman.kill()
        watched.until("notice", "boxed", text="can't be watched")
    finally:
        podman.start()
    watched.until("notice", "boxed", text="answers again, and has kept its container")
    watched.process.send_signal(signal.SIGINT)
    done = watched.finish()
    assert done.code == 130 and done.of("failure") == [] and done.node("boxed")["restarts"] == 0
    assert subprocess.run([*podman.command, "ps", "--all", "--quiet"], capture_output=True, check=True).stdout == b"", "a container is left"


def test_gpus_that_the_service_would_ignore_are_an_error_before_anything_is_made(bench: Bench, podman: PodmanEngine) -> None:
    version = subprocess.run([*podman.command, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    if tuple(map(int, version.split(".")[:2])) >= (5, 4):
        pytest.skip(f"Podman {version} asks for them")
    done = run(bench, podman, "pass", container={"gpus": "all", "packages": ["no-such-package-at-all"]}, restart={"on": "failure", "attempts": 3, "backoff": 0})
    (failure,) = done.of("failure")
    assert done.code != 0 and f"the Docker-compatible service of Podman {version} ignores that" in failure["text"] and "5.4" in failure["hint"]
