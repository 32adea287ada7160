# SPDX-License-Identifier: Apache-2.0
"""The kill storm: a pipeline under full load, a driver that kills its nodes with SIGKILL, and the comparison of what was sent with what was received.

The pipeline has a fan-out, a fan-in and a chain, all of `block` edges, in Python and C++ (storm_nodes.py, storm_program.cpp):

    pysource --> mix --> pyrelay --> end
       |   ccsource-^ \\
       v               `-> also
      tap

Payload: Header {number u64, size u64, origin u32, writer u32, incarnation u32, offset u32}, then size - 32 bytes of the file `pattern` from `offset`
    on. `number` counts the frames of a source over all its lives; a relay keeps it and writes itself down as the writer.
Record:  {kind u8, flags u8, writer u16, incarnation u32, writer's incarnation u32, origin u32, sequence u64, number u64}; 1 received, 2 sent (written
    once send has returned). 32 bytes divide a page, so that a kill never cuts a record in two.

What is checked, edge by edge (docs/failure.md promises it):
    - every frame of which the sender knows that it was sent was received; sequence numbers have no gap within a life of the sender;
    - in order, and once, but for frames marked given again; those only to a reader that has had a predecessor;
    - every byte is as it was; every number that a source sent is at every sink; every number that a relay received was sent on.
Across a sender's death its replacement goes on numbering: what had got to only some of its readers when it died is missing to the others, so
the sequence may jump by one there; and the frame counts as never sent.
"""
from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import threading
import time
import typing

from harness import HAWSE, WATCHDOG_S, Bench, Run

RECORD = struct.Struct("<BBHIIIQQ")
RECEIVED, SENT = 1, 2
GIVEN_AGAIN, DAMAGED = 1, 2
KEEP = 2  # frames that a node holds leased
PATTERN_BYTES = (1 << 20) + (1 << 17)
STALLED_S = 120.0


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    kind: str  # Source, Relay, Sink
    language: str
    small: int = 200
    large: int = 200_000
    every: int = 4


PARTS = (Part("pysource", "Source", "python"), Part("ccsource", "Source", "c++", small=64, large=300_000, every=7), Part("mix", "Relay", "c++"),
         Part("pyrelay", "Relay", "python"), Part("tap", "Sink", "python"), Part("end", "Sink", "c++"), Part("also", "Sink", "c++"))
EDGES = (("pysource", "mix", 8), ("pysource", "tap", 2), ("ccsource", "mix", 1), ("mix", "pyrelay", 16), ("mix", "also", 8), ("pyrelay", "end", 4))


def manifest(folder: pathlib.Path, executor: str) -> dict[str, typing.Any]:
    """`executor` is where the Python nodes run, and one of the programs; the others are processes."""
    nodes: dict[str, typing.Any] = {}
    for index, part in enumerate(PARTS):
        params = {"folder": str(folder), "index": index, "keep": KEEP}
        if part.kind == "Source":
            params |= {"origin": index, "small": part.small, "large": part.large, "every": part.every}
        node: dict[str, typing.Any] = {"params": params, "restart": {"on": "failure", "attempts": 1000, "backoff": 0}}
        node["restart"]["poison_after"] = 0  # it isn't the frame that kills
        if part.language == "python":
            node["node"] = f"nodes.py:{part.kind}"
        else:
            node["node"] = shutil.copy(HAWSE.parent / "tests/storm_program", folder.parent)  # a place that the engine sees
        if part.language == "python" or part.name == "also":
            node["executor"] = executor
            if executor == "container":
                node["container"] = {"mounts": [f"{folder}:{folder}:rw"]}
        nodes[part.name] = node
    return {"nodes": nodes, "edges": [{"from": a, "to": b, "queue": queue} for a, b, queue in EDGES]}


@dataclasses.dataclass
class Life:
    """What is known of a node from the run's events."""

    state: str = ""
    attempt: int = 0
    where: str = ""
    killed_attempt: int = 0
    kills: int = 0

    @property
    def up(self) -> bool:
        return self.state == "running" and self.attempt > self.killed_attempt

    @property
    def can_be_killed(self) -> bool:
        return bool(self.where) and self.attempt > self.killed_attempt


class Storm:
    def __init__(self, bench: Bench, executor: str, seed: int) -> None:
        self.bench, self.executor, self.seed = bench, executor, seed
        self.random = random.Random(seed)
        self.folder = bench.folder / "records"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        (self.folder / "pattern").write_bytes(random.Random(1).randbytes(PATTERN_BYTES))
        shutil.copy(pathlib.Path(__file__).parent / "storm_nodes.py", bench.folder / "nodes.py")
        bench.write(manifest(self.folder, executor))
        self.lives = {part.name: Life() for part in PARTS}
        self.died_last: dict[tuple[str, str], str] = {}  # of edges that are not as before a death: which end died
        self.failures: collections.Counter[str] = collections.Counter()
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.process = bench.start()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    # ---- what happens -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            with self.changed:
                if event["event"] != "log":
                    self.lines.append(line)
                if event["event"] == "node":
                    life = self.lives[event["node"]]
                    life.state = event["state"]
                    if event["attempt"] != life.attempt:
                        life.attempt, life.where = event["attempt"], ""
                    if event["state"] not in ("launching", "preparing"):
                        life.where = event.get("where", "")
                elif event["event"] == "failure":
                    self.failures[event["node"]] += 1
                self.changed.notify_all()

    def _await(self, what: str, condition: typing.Callable[[], bool], poll_s: float = 0.02) -> None:
        """Fails when nothing was received by anybody for a long time."""
        moved, before = time.monotonic(), -1
        while True:
            with self.changed:
                if condition():
                    return
                self.changed.wait(poll_s)
            now = sum(self._size(part.name, "records") for part in PARTS if part.kind == "Sink")
            if now != before:
                moved, before = time.monotonic(), now
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                raise AssertionError(f"the run has ended (seed {self.seed}): {self.process.stderr.read()} {self.describe()}")
            if time.monotonic() - moved > STALLED_S:
                raise AssertionError(f"no frame arrives any more while waiting for {what} (seed {self.seed}): {self.describe()}")

    def describe(self) -> str:
        return json.dumps({"exit code": self.process.poll(), "lives": {n: dataclasses.asdict(life) for n, life in self.lives.items()},
                           "unsettled": {f"{a} -> {b}": end for (a, b), end in self.died_last.items()},
                           "bytes of records": {part.name: self._size(part.name, "records") for part in PARTS}, "last events": self.lines[-12:]}, indent=1)

    def _size(self, node: str, suffix: str) -> int:
        try:
            return (self.folder / f"{node}.{suffix}").stat().st_size
        except FileNotFoundError:
            return 0

    # ---- which node may die now ---------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """An edge is as before once the reader of now has, from the sender of now, more frames than it keeps, none of them given again."""
        for edge in list(self.died_last):
            writer, reader = edge
            if not self.lives[writer].up or not self.lives[reader].up:
                continue
            mine, theirs, size = self._size(reader, "starts"), self._size(writer, "starts"), self._size(reader, "records")
            with open(self.folder / f"{reader}.records", "rb") as records:
                start = max(0, size - RECORD.size * 1024)
                records.seek(start)
                tail = records.read(size - start)
            index = next(i for i, part in enumerate(PARTS) if part.name == writer)
            fresh = sum(1 for kind, flags, by, inc, writer_inc, *_ in RECORD.iter_unpack(tail)
                        if kind == RECEIVED and by == index and inc == mine and writer_inc == theirs and not flags & GIVEN_AGAIN)
            if fresh > KEEP:
                del self.died_last[edge]

    def await_settled(self) -> None:
        def settled() -> bool:
            self._settle()
            return not self.died_last and all(life.up for life in self.lives.values())
        self._await("every node to run again", settled)

    # ---- the storm --------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Returns when every node runs and every edge has carried frames."""
        self.died_last = {(a, b): a for a, b, _ in EDGES}
        self.await_settled()
        self.await_up(*self.lives)
        self.await_frames(300)

    def await_frames(self, count: int) -> None:
        sinks = [part.name for part in PARTS if part.kind == "Sink"]
        goal = {name: self._size(name, "records") + count * RECORD.size for name in sinks}
        self._await(f"{count} frames", lambda: all(self._size(name, "records") >= goal[name] for name in sinks))

    def send_signal(self, name: str, number: int) -> bool:
        """False: it is gone already."""
        kind, where = self.lives[name].where.split()[:2]
        try:
            os.kill(int(where) if kind == "process" else self._process_in(where), number)
        except (ProcessLookupError, LookupError):
            return False
        return True

    def kill(self, name: str) -> None:
        if not self.send_signal(name, signal.SIGKILL):
            return
        life = self.lives[name]
        life.killed_attempt = life.attempt
        life.kills += 1
        for edge in ((a, b) for a, b, _ in EDGES if name in (a, b)):
            self.died_last[edge] = name

    def _process_in(self, container: str) -> int:
        """The node's own process in there, or its init."""
        shown = subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True)
        if shown.returncode != 0 or not int(shown.stdout or 0):
            raise LookupError(container)
        pids = [int(shown.stdout)]
        while True:
            try:
                children = pathlib.Path(f"/proc/{pids[-1]}/task/{pids[-1]}/children").read_text().split()
            except FileNotFoundError:
                raise LookupError(container) from None
            if not children:
                return self.random.choice([pids[0], pids[-1]])
            pids.append(int(children[0]))

    def rage(self, kills: int, nodes: typing.Sequence[str]) -> None:
        """Kills `kills` times: one node, several at once, the same again before it is back; waits for the restart or not."""
        done = 0
        while done < kills:
            chosen: list[str] = []
            def choose() -> bool:
                free = [name for name in nodes if self.lives[name].can_be_killed]
                self.random.shuffle(free)
                chosen.extend(free[: self.random.choice((1, 1, 1, 2, 3))])
                return bool(chosen)
            self._await("a node that may be killed", choose)
            with self.changed:
                for name in chosen:
                    self.kill(name)
            done += len(chosen)
            pause = self.random.random()
            if pause < 0.3:
                self.await_settled()
            time.sleep(self.random.uniform(0, 0.2) if pause < 0.8 else 0)
        self.await_settled()

    def await_up(self, *names: str) -> None:
        end = time.monotonic() + STALLED_S
        with self.changed:
            while not all(self.lives[name].up for name in names):
                assert time.monotonic() < end and self.process.poll() is None, f"{names} don't come back: {self.describe()}"
                self.changed.wait(0.05)

    def end(self) -> Run:
        """The sources end, everything flows out, and the run ends in order."""
        (self.folder / "stop").touch()
        try:
            code = self.process.wait(timeout=WATCHDOG_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the run doesn't end (seed {self.seed}): {self.describe()}") from None
        self.reader.join()
        assert self.process.stderr is not None
        return Run(code, [json.loads(line) for line in self.lines], self.process.stderr.read())

    def abort(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.reader.join()

    # ---- what it holds ------------------------------------------------------------------------------------------------------

    def holdings(self) -> dict[str, dict[str, int]]:
        """Of the runtime and of every node that is a process: descriptors, maps, threads, private memory and memory that it shares, in KiB."""
        held = {"runtime": held_by(self.process.pid)}
        for name, life in self.lives.items():
            kind, where = life.where.split()[:2]
            if kind == "process":
                held[name] = held_by(int(where))
        return held


def held_by(pid: int) -> dict[str, int]:
    process = pathlib.Path(f"/proc/{pid}")
    shared = {}  # by inode
    for fd in os.listdir(process / "fd"):
        try:
            if os.readlink(process / "fd" / fd).startswith("/memfd:hawse"):
                info = os.stat(process / "fd" / fd)
                shared[info.st_ino] = info.st_blocks // 2
        except FileNotFoundError:
            pass
    # Without files: what is charged for a library's pages depends on who else has mapped them.
    rollup = dict(line.split(":", 1) for line in (process / "smaps_rollup").read_text().splitlines()[1:])
    return {"descriptors": len(os.listdir(process / "fd")), "maps": len((process / "maps").read_text().splitlines()),
            "threads": len(os.listdir(process / "task")), "anonymous_kib": int(rollup["Anonymous"].split()[0]), "pss_kib": int(rollup["Pss_Anon"].split()[0]) + int(rollup["Pss_Shmem"].split()[0]),
            "shared_kib": sum(shared.values())}
