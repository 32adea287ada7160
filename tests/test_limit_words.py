# SPDX-License-Identifier: Apache-2.0
"""Limits that a node meets as an error or a signal like any other are named, with their size."""
from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from harness import EXECUTORS, HAWSE, Bench, json_lines, needs_engine
from test_limits import write

WRITES = """
import signal
with open("/tmp/hawse-limit-%d" % os.getpid(), "wb", buffering=0) as file:
    os.unlink(file.name)
    while True:
        file.write(bytes(1 << 16))
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_at_the_limit_of_a_file_names_it(executor: str, bench: Bench) -> None:
    write(bench, WRITES, executor, {"file": "1MiB"})
    (failure,) = bench.run().of("failure", "meets")
    assert failure["text"].startswith("met its limit of a file's size: 1 MiB; it failed in process on frame 1: OSError: [Errno 27]"), failure
    assert failure["limit"] == "file" and failure["limit_bytes"] == 1 << 20 and "limits: {file: ...}" in failure["hint"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_signal_at_the_limit_of_a_file_names_it(executor: str, bench: Bench) -> None:
    write(bench, WRITES.replace("import signal\n", "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"), executor, {"file": "1MiB"})
    (failure,) = bench.run().of("failure", "meets")
    assert failure["text"].startswith("met its limit of a file's size: 1 MiB; it was ended by signal 25 (SIGXFSZ"), failure
    assert failure["limit"] == "file" and failure["kind"] == "signal"


def test_another_error_of_a_node_with_such_a_limit_is_its_own(bench: Bench) -> None:
    write(bench, "raise OSError(2, 'no such thing')", "process", {"file": "1MiB", "memory": "256MiB"})
    (failure,) = bench.run().of("failure", "meets")
    assert failure["text"].startswith("failed in process on frame 1: ") and "limit" not in failure


def test_memory_that_setrlimit_holds_is_named(bench: Bench) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can hide the control groups")
    write(bench, "self.kept = bytearray(2 << 30)", "process", {"memory": "1GiB"})
    done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh", str(HAWSE), "run", "--json", str(bench.pipeline)],
                          capture_output=True, text=True, cwd=bench.folder, timeout=300)
    (failure,) = [event for event in json_lines(done.stdout, '"event"') if event["event"] == "failure" and event["node"] == "meets"]
    assert failure["text"].startswith("met its memory limit: 1 GiB; it failed in process on frame 1: MemoryError"), failure
    assert failure["limit"] == "memory" and "setrlimit" in failure["hint"]


@needs_engine
@pytest.mark.parametrize("body", [
    pytest.param('open("/dev/shm/x", "wb", buffering=0).write(bytes(4 << 20)); open("/dev/shm/y", "wb", buffering=0).write(bytes(4 << 20))', id="written"),
    pytest.param('import mmap; file = open("/dev/shm/x", "w+b"); file.truncate(4 << 20); mmap.mmap(file.fileno(), 4 << 20)[:] = bytes(4 << 20)', id="mapped"),
])
def test_a_full_shared_memory_of_a_container_is_hinted_at(bench: Bench, body: str) -> None:
    write(bench, body, "container", {"shm": "1MiB"})
    (failure,) = bench.run().of("failure", "meets")
    assert failure["hint"].startswith("if its /dev/shm was full: that holds 1 MiB (limits: {shm: ...})"), failure
