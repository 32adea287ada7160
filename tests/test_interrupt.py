# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while an environment is made: whatever it waits for (an installer, a registry, the engine, another process) it ends with 130, and nothing is left."""
from __future__ import annotations

import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import typing

import pytest
from environments import Place
from harness import HAWSE, WATCHDOG_S, Bench, needs_engine


@pytest.fixture
def place(bench: Bench) -> Place:
    bench.nodes("""
        class Says(hawse.Node):
            def produce(self) -> hawse.Text:
                yield hawse.Text("x")
    """)
    return Place(bench)


@pytest.fixture
def silent() -> typing.Iterator[tuple[int, threading.Event]]:
    """A server that takes connections and never answers: its port, and whether anybody came."""
    came = threading.Event()
    kept = []

    def serve() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return
            came.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in kept:
        connection.close()


def interrupted(place: Place, command: str, under_way: typing.Callable[[subprocess.Popen[str]], typing.Any]) -> str:
    process = subprocess.Popen([HAWSE, command, place.bench.pipeline], stderr=subprocess.PIPE, text=True, env=place.env, cwd=place.bench.folder)
    under_way(process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=WATCHDOG_S)[1]
    assert process.returncode == 130, said
    store = place.bench.folder / "state" / "store"
    assert not list(store.glob("tmp/*")) and not list(store.glob("packages/*"))
    return said


def write(place: Place, **node: object) -> None:
    place.bench.write({"nodes": {"says": {"node": "nodes.py:Says", **node}, "sink": {"node": "test/sink"}}, "edges": ["says -> sink"]})


@pytest.mark.parametrize("command", ["build", "run", "lock"])
def test_an_installer_that_waits_for_an_index(place: Place, silent: tuple[int, threading.Event], command: str) -> None:
    write(place, python={"packages": ["no-such-thing-anywhere"]})
    place.env["UV_DEFAULT_INDEX"] = f"http://127.0.0.1:{silent[0]}/simple"
    interrupted(place, command, lambda process: silent[1].wait(60))


@needs_engine
@pytest.mark.parametrize("command", ["build", "run"])
def test_a_pull_from_a_registry_that_is_silent(place: Place, silent: tuple[int, threading.Event], command: str) -> None:
    write(place, executor="container", container={"image": f"127.0.0.1:{silent[0]}/thing:1"})
    interrupted(place, command, lambda process: silent[1].wait(60))


@needs_engine
@pytest.mark.parametrize("command", ["build", "run"])
def test_an_image_that_the_engine_builds(place: Place, command: str) -> None:
    def under_way(process: subprocess.Popen[str]) -> None:
        while labelled() <= before and process.poll() is None:
            time.sleep(0.05)

    before = labelled()
    write(place, executor="container", container={"python": "3.11", "apt": ["no-such-package-anywhere"]})
    interrupted(place, command, under_way)
    assert labelled() <= before


def labelled() -> set[str]:
    """What builds of ours have: intermediate images and the containers of their steps."""
    images = subprocess.run(["docker", "images", "-aq", "--filter", "label=hawse.build"], capture_output=True, text=True).stdout
    containers = subprocess.run(["docker", "ps", "-aq", "--filter", "label=hawse.build"], capture_output=True, text=True).stdout
    return set((images + containers).split())


@needs_engine
def test_another_process_that_makes_the_same_image(place: Place) -> None:
    write(place, executor="container", container={"python": "3.99"})
    lock = place.bench.folder / "state" / "store" / "locks" / "base-3.99"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        interrupted(place, "build", waits_for_a_lock)


def waits_for_a_lock(process: subprocess.Popen[str]) -> None:
    """It has opened the lock's file."""
    end = time.monotonic() + WATCHDOG_S
    while time.monotonic() < end and process.poll() is None:
        for descriptor in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                if os.readlink(descriptor).endswith("/locks/base-3.99"):
                    return
            except OSError:
                continue
