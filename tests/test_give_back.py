# SPDX-License-Identifier: Apache-2.0
"""The memory of one large frame is given back, whoever sends it and wherever it runs; and a node that cheats with that hurts nobody but itself."""
from __future__ import annotations

import json
import os
import pathlib
import typing

import pytest
from harness import EXECUTORS, Bench
from sight import Sight

HERE = pathlib.Path(__file__).parent
MIB = 1 << 20
NODES = """
    import time
    class Source(hawse.Node):
        def setup(self, large: int) -> None:
            self.large = large
        def bytes_of(self, n: int, size: int) -> hawse.Bytes:
            frame = self.output.bytes(size)
            memoryview(frame.data)[:] = bytes([n % 251]) * size
            return frame
        def produce(self):
            n = 0
            while True:
                n += 1
                yield self.bytes_of(n, self.large if n in (20, 1000) else 1 << 20)
                time.sleep(0.01)
    class Relay(hawse.Node):
        def process(self, data: hawse.Bytes) -> hawse.Bytes:
            out = self.output.bytes(data.nbytes)
            memoryview(out.data)[:] = memoryview(data.data)
            return out
    class Check(hawse.Node):
        def setup(self) -> None:
            self.n = 0
        def process(self, data: hawse.Bytes) -> None:
            self.n += 1
            assert memoryview(data.data) == bytes([self.n % 251]) * data.nbytes, self.n
            if data.nbytes > 1 << 20:
                print("large", self.n, flush=True)
"""


def arenas(sight: Sight, node: str) -> list[dict[str, typing.Any]]:
    (about,) = json.loads(sight.ok("inspect", "", node, "--json"))
    return [d for d in about["descriptors"] if d["kind"] == "arena"]


def mapped_bytes(pid: int) -> int:
    """Of arenas, by one process."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "hawse-arena" in line:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            total += end - start
    return total


def pids(parent: int) -> list[int]:
    """A process and all below it."""
    found = [parent]
    for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += pids(int(child))
    return found


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_memory_of_a_large_frame_is_given_back_and_the_next_finds_room(sight: Sight, executor: str) -> None:
    """The limit leaves room for one growth: the second large frame comes through only if the memory of the first has really gone, on all sides."""
    sight.bench.nodes(NODES)
    limits = {"arena": "550MiB"}
    process = sight.start({"source": {"node": "nodes.py:Source", "executor": executor, "params": {"large": 200 * MIB}, "limits": limits},
                           "relay": {"node": "nodes.py:Relay", "executor": executor, "limits": limits}, "check": {"node": "nodes.py:Check", "executor": executor}},
                          ["source -> relay -> check"])

    for large in ("large 20", "large 1000"):
        sight.wait_until(lambda: any(line.get("text") == large for line in sight.logs()), process)
        for node in ("source", "relay"):
            sight.wait_until(lambda: sum(d["bytes"] for d in arenas(sight, node) if d["may"] == "write") < 50 * MIB, process)
    sight.wait_until(lambda: sum(mapped_bytes(pid) for pid in pids(process.pid)) < 200 * MIB, process)
    run = sight.stop(process)
    assert not run.of("failure")


def test_what_is_given_back_and_kept_still_counts(bench: Bench) -> None:
    """A node that gives memory back and keeps its mapping is refused more; one that lets go can do that for ever, and nobody's numbers run out."""
    bench.nodes("""
        class Check(hawse.Node):
            def process(self, data: hawse.Bytes) -> None:
                pass
    """)
    bench.write({"nodes": {"grows": {"node": str(HERE / "growing_node.py"), "limits": {"arena": "8MiB"}, "env": {"GROWING": "1"}}, "check": {"node": "nodes.py:Check"}},
                 "edges": ["grows.out -> check"]})
    run = bench.run()
    lines = run.log("grows")
    print(lines)
    assert "let go: 200 times, numbers 0 to 199" in lines
    assert "kept: refused after 2" in lines
    assert "let go again: granted" in lines
    descriptors = [int(line.split()[1]) for line in lines if line.startswith("descriptors")]
    assert max(descriptors) - descriptors[0] <= 2, descriptors
    assert run.code == 0 and not run.of("failure")
