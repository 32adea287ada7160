# SPDX-License-Identifier: Apache-2.0
"""A node is replaced while frames flow: every one of them arrives once, in its order and as it was sent, wherever the node runs and moves."""
from __future__ import annotations

import json
import shutil
import subprocess
import threading
import typing
import zlib

import pytest
from harness import HAWSE, WATCHDOG_S, needs_engine
from sight import Sight

NODES = """
    import os, random, time, typing, zlib

    def filled(frame: hawse.Bytes, number: int) -> None:
        body = random.Random(number).randbytes(frame.nbytes - 12)
        memoryview(frame.data)[:] = number.to_bytes(8, "little") + zlib.crc32(body).to_bytes(4, "little") + body

    def number_of(frame: hawse.Bytes) -> int:
        data = memoryview(frame.data).cast("B")
        assert zlib.crc32(data[12:]) == int.from_bytes(data[8:12], "little"), "another frame's bytes"
        return int.from_bytes(data[:8], "little")

    class Numbered(hawse.Node):
        def produce(self) -> typing.Iterator[hawse.Bytes]:
            number = 0
            while True:
                number += 1
                frame = self.output.bytes(4000 + number % 5000)
                filled(frame, number)
                yield frame
    class Holds(hawse.Node):
        \"\"\"Keeps the last five frames as they came, and passes on what is older.\"\"\"
        def setup(self) -> None:
            self.kept = []
            self.numbers = []
        def passed(self, frame: hawse.Bytes) -> hawse.Bytes:
            out = self.output.like(frame)
            memoryview(out.data)[:] = memoryview(frame.data)
            return out
        def process(self, data: hawse.Bytes) -> typing.Iterator[hawse.Bytes]:
            number_of(data)
            self.kept.append(data)
            if len(self.kept) > 5:
                yield self.passed(self.kept.pop(0))
        def finish(self) -> typing.Iterator[hawse.Bytes]:
            for frame in self.kept:
                yield self.passed(frame)
        def close(self) -> None:
            self.kept.clear()  # even so they are handed over
    class HoldsHere(Holds):
        def setup(self) -> None:
            super().setup()
            if not os.path.exists("HERE"):
                raise OSError("not here")
    class Checks(hawse.Node):
        def setup(self) -> None:
            self.last = 0
        def process(self, data: hawse.Bytes) -> None:
            number = number_of(data)
            assert number == self.last + 1, f"{number} after {self.last}"
            self.last = number
        def finish(self) -> None:
            print(f"all {self.last}", flush=True)
    class Texts(hawse.Node):
        def produce(self) -> typing.Iterator[hawse.Text]:
            for number in range(1, 1_000_000):
                yield hawse.Text(f"{number} {zlib.crc32(b'%d' % number)}")
    class Stuck(hawse.Node):
        def process(self, data: hawse.Bytes) -> None:
            time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def nodes_are_there(sight: Sight) -> None:
    sight.bench.nodes(NODES.replace("HERE", str(sight.run_dir.parent)))
    (sight.bench.folder / "others.py").write_text((sight.bench.folder / "nodes.py").read_text())  # of the nodes that stay


def start(sight: Sight, executor: str, *arguments: str, holds: str = "Holds") -> subprocess.Popen[str]:
    process = sight.start({"source": {"node": "others.py:Numbered"}, "holds": {"node": f"nodes.py:{holds}", "executor": executor},
                           "checks": {"node": "others.py:Checks"}}, ["source -> holds -> checks"], *arguments)
    sight.wait_until(lambda: sight.top()[0]["checks"]["frames_in"] > 100, process)
    return process


def assert_all_arrived(sight: Sight, process: subprocess.Popen[str]) -> None:
    run = sight.stop(process)
    assert run.code == 130 and not run.of("failure"), run.of("failure")
    (said,) = [text for text in run.log("checks") if text.startswith("all ")]
    edge = run.edge("source", "holds")
    assert int(said.split()[1]) == edge["frames"] - edge["given_again"] == run.edge("holds", "checks")["received"], "each of them once"
    assert all(node["state"] == "ended" for node in run.summary["nodes"])


@pytest.mark.parametrize("executor", [pytest.param("process"), pytest.param("container", marks=needs_engine)])
def test_a_node_is_replaced_under_load_and_every_frame_arrives_once(sight: Sight, executor: str) -> None:
    process = start(sight, executor)
    where = sight.top()[0]["holds"]["where"]
    for _ in range(5):
        done = json.loads(sight.ok("replace", "holds", "--json"))
        assert done["executor"] == executor and done["where"] != where
        where = done["where"]
        came = sight.top()[0]["checks"]["frames_in"]
        sight.wait_until(lambda came=came: sight.top()[0]["checks"]["frames_in"] > came + 100, process)
    assert_all_arrived(sight, process)


@needs_engine
def test_a_node_moves_between_executors_under_load_and_every_frame_arrives_once(sight: Sight) -> None:
    process = start(sight, "process")
    for executor in ("container", "process"):
        assert f"holds runs in {executor} " in sight.ok("replace", "holds", "--executor", executor)
        assert sight.top()[0]["holds"]["executor"] == executor
    assert_all_arrived(sight, process)


def test_both_ends_of_an_edge_are_replaced_at_once(sight: Sight) -> None:
    nodes: dict[str, typing.Any] = {name: {"node": "nodes.py:Holds"} for name in ("first", "second")}
    process = sight.start({"source": {"node": "nodes.py:Numbered"}, **nodes, "checks": {"node": "nodes.py:Checks"}}, ["source -> first -> second -> checks"])
    for _ in range(5):
        came = sight.top()[0]["checks"]["frames_in"]
        sight.wait_until(lambda came=came: sight.top()[0]["checks"]["frames_in"] > came + 100, process)
        threads = [threading.Thread(target=sight.ok, args=("replace", name)) for name in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    run = sight.stop(process)
    edge = run.edge("source", "first")
    assert run.code == 130 and not run.of("failure") and f"all {edge['frames'] - edge['given_again']}" in run.log("checks")
    assert run.node("first")["restarts"] == run.node("second")["restarts"] == 5


def test_a_thread_hands_over_too_and_may_become_a_process(sight: Sight) -> None:
    sight.bench.write({"nodes": {"source": {"node": "nodes.py:Texts"}, "print": {"node": "text/print"}}, "edges": ["source -> print"]})
    process = subprocess.Popen([HAWSE, "run", "--quiet", str(sight.bench.pipeline)], env=sight.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    sight.started.append(process)
    printed: list[str] = []
    assert process.stdout is not None
    lines = process.stdout
    reader = threading.Thread(target=lambda: printed.extend(lines))
    reader.start()
    sight.wait_until(lambda: len(printed) > 1000, process)
    for executor in ("thread", "thread", "process", "thread"):
        assert f"print runs in {executor}" in sight.ok("replace", "print", "--executor", executor)
        before = len(printed)
        sight.wait_until(lambda before=before: len(printed) > before + 1000, process)
    sight.ok("stop")
    reader.join(WATCHDOG_S)
    assert process.wait(WATCHDOG_S) == 130
    numbers = [line.split("| ")[-1].split() for line in printed]
    assert [int(number) for number, _ in numbers] == list(range(1, len(numbers) + 1)), "each of them once, in order"
    assert all(zlib.crc32(number.encode()) == int(crc) for number, crc in numbers)


def test_with_watch_a_changed_file_loses_no_frame(sight: Sight) -> None:
    process = start(sight, "process", "--watch")
    sight.bench.nodes(NODES.replace("number_of(data)\n            self.kept", "number_of(data); self.log.info('new') if not self.kept else None\n            self.kept"))
    sight.wait_until(lambda: any(line["text"] == "new" for line in sight.logs("--node", "holds")), process)
    assert any("nodes.py has changed" in line["text"] for line in sight.logs("--node", "holds"))
    assert_all_arrived(sight, process)


def test_one_that_does_not_come_to_the_end_of_its_frame_is_killed_after_the_grace_period(sight: Sight) -> None:
    process = sight.start({"source": {"node": "nodes.py:Numbered"}, "stuck": {"node": "nodes.py:Stuck"}}, ["source -> stuck"], grace="300ms")
    sight.wait_until(lambda: sight.top()[0]["stuck"]["frames_in"] > 0, process)
    sight.ok("replace", "stuck")
    assert any("within the grace period" in line["text"] for line in sight.logs("--node", "stuck"))
    assert sight("replace", "stuck", "--executor", "thread").returncode == 2
    sight.ok("stop", "--now")
    sight.bench.finish(process)


@needs_engine
def test_where_the_new_place_fails_the_node_goes_on_where_it_was(sight: Sight) -> None:
    process = start(sight, "process", holds="HoldsHere")
    manifest = json.loads(sight.bench.pipeline.read_text())
    manifest["nodes"]["holds"]["container"] = {"image": "hawse/no_such_image_anywhere"}
    sight.bench.write(manifest)
    done = sight("replace", "holds", "--executor", "container")
    assert done.returncode != 0 and "can't be moved" in done.stderr and "no_such_image" in done.stderr
    manifest["nodes"]["holds"]["container"] = {}  # it comes up there, and fails
    sight.bench.write(manifest)
    done = sight("replace", "holds", "--executor", "container")
    assert done.returncode != 0 and "back where it was" in done.stderr and "not here" in done.stderr, done.stderr
    assert sight.wait_until(lambda: sight.top()[0]["holds"]["state"] == "running", process) and sight.top()[0]["holds"]["executor"] == "process"
    run = sight.stop(process)
    edge = run.edge("source", "holds")
    assert f"all {edge['frames'] - edge['given_again']}" in run.log("checks")


def test_what_cannot_be_replaced_is_said(sight: Sight) -> None:
    process = sight.start({"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 100, "shape": [10]}}, "sink": {"node": "test/sink"}}, ["source -> sink"])
    for arguments, words in ((["snik"], "did you mean 'sink'"), (["sink", "--executor", "rocket"], "rocket"), (["zzz", "sink"], "begins with 'zzz'")):
        done = sight("replace", *arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    sight.stop(process)


def test_with_watch_a_changed_program_is_replaced(sight: Sight) -> None:
    program, next_one = sight.bench.folder / "passes", sight.bench.folder / "passes.new"

    def build() -> None:
        shutil.copy(HAWSE.parent / "lib/hawse/bench/bench-node", next_one)
        next_one.replace(program)  # as a linker does it: the old one may still run

    build()
    nodes = {"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 500, "shape": [10]}}, "passes": {"node": "./passes"}, "sink": {"node": "test/sink", "params": {"verify": True}}}
    process = sight.start(nodes, ["source -> passes -> sink"], "--watch")
    before = sight.top()[0]["passes"]["where"]
    build()
    sight.wait_until(lambda: sight.top()[0]["passes"]["where"] not in ("", before) and sight.top()[0]["passes"]["state"] == "running", process)
    assert any("passes has changed" in line["text"] for line in sight.logs("--node", "passes"))
    run = sight.stop(process)
    assert not run.of("failure") and run.edge("passes", "sink")["received"] == run.edge("source", "passes")["frames"] - run.edge("source", "passes")["given_again"]
