# SPDX-License-Identifier: Apache-2.0
"""The criteria that a system of this kind is judged by, each on real runs with real containers.

A time is asserted only as the public criterion states it (5 ms, 100 ms, 2 s, 5 s), as a median over many frames or starts: that is one to three orders of magnitude above what an
idle machine shows, so that a loaded one doesn't fail it. The stricter figures of ours (100 ms, ...) are rows of `hawse bench` with targets; each test prints what it saw. Latency with a
real model within 2 % is a ratio of times taken in turns, and asserted in the long form.

HAWSE_CRITERIA_LONG=1 is the long form: twelve hundred frames through a detector, a minute of streaming, a hundred sessions one after another, ten minutes of five at once. The short one takes seconds for each.
"""
from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import time
import typing

import pytest
from harness import EXECUTORS, Bench, Run, assert_nothing_left, hawse, json_lines, needs_engine
from sight import Sight
from storm import held_by
from test_examples import make_video_with_faces

LONG = os.environ.get("HAWSE_CRITERIA_LONG") == "1"
STREAM_S = 60 if LONG else 4
TOGETHER_S = 600 if LONG else 5
PICTURES = 600 if LONG else 60
KINDS = ("process", "container")
SESSIONS = {"process": 100 if LONG else 20, "container": 100 if LONG else 5}

NODES = """
    import sys, time

    class Clock(hawse.Node):
        \"""Sends the time of its sending, at a steady pace.\"""
        def produce(self) -> hawse.Json:
            for _ in range(300):
                time.sleep(0.005)
                yield hawse.Json({"sent_ns": time.monotonic_ns(), "pythons": []})

    class Through(hawse.Node):
        \"""Writes down which Python it runs in.\"""
        def process(self, json: hawse.Json) -> hawse.Json:
            value = json.value
            value["pythons"].append("%d.%d" % sys.version_info[:2])
            return hawse.Json(value)

    class Took(hawse.Node):
        \"""Prints how long each frame was under way.\"""
        def process(self, json: hawse.Json) -> None:
            print(time.monotonic_ns() - json.value["sent_ns"], *json.value["pythons"])
"""


def median_ms(times_ns: typing.Iterable[float]) -> float:
    return statistics.median(times_ns) / 1e6


def container(name: str, python: str = "3.11", **more: typing.Any) -> dict[str, typing.Any]:
    return {"node": f"nodes.py:{name}", "executor": "container", "container": {"python": python}, **more}


# ---- latency ------------------------------------------------------------------------------------------------------------------------


@needs_engine
def test_a_frame_takes_no_longer_through_containers_than_through_processes(bench: Bench) -> None:
    """Nodes that do nothing, in a whole pipeline of each kind: a node alone of its kind finds its interpreter colder in the caches than nodes with company of theirs."""
    nodes: dict[str, typing.Any] = {}
    edges = []
    for name in ("Clock", "Through", "Took"):
        # A module of its own each: processes of one module are forked from one zygote and share its memory, which is worth a tenth of the time here. Containers can't.
        bench.nodes(NODES)
        (bench.folder / "nodes.py").rename(bench.folder / f"{name.lower()}.py")
        for kind in KINDS:
            nodes[f"{name.lower()}_{kind}"] = {**(container(name) if kind == "container" else {}), "node": f"{name.lower()}.py:{name}"}
    for kind in KINDS:
        edges.append(f"clock_{kind} -> through_{kind} -> took_{kind}")
    bench.write({"nodes": nodes, "edges": edges})
    run = bench.run_ok()
    took = {kind: [int(line.split()[0]) for line in run.log(f"took_{kind}")] for kind in KINDS}
    assert [len(each) for each in took.values()] == [300, 300]
    native, contained = median_ms(took["process"]), median_ms(took["container"])
    print(f"clock to end, median of 300 frames: through processes {native:.4f} ms, through containers {contained:.4f} ms: {contained / native:.3f} x")
    assert abs(contained - native) < 5


FACES = """
    import time
    import cv2

    class Clock(hawse.Node):
        \"""Gives each picture of a film, at 960 x 540, to both detectors, one after the other and to each as often first, with the time of its sending.\"""
        outputs = {"process": hawse.Video, "container": hawse.Video}
        def setup(self, film: str, count: int) -> None:
            self.film, self.count = cv2.VideoCapture(film), count
        def produce(self) -> hawse.Video:
            for i in range(self.count):
                there, picture = self.film.read()
                if not there:
                    self.film.set(cv2.CAP_PROP_POS_FRAMES, 0)
                    picture = self.film.read()[1]
                picture = cv2.resize(picture, (960, 540))
                for kind in ("process", "container") if i % 2 else ("container", "process"):
                    time.sleep(0.05)
                    yield kind, hawse.Video(pixels=picture, rate=20, format="bgr24", timestamp_ns=time.monotonic_ns())

    class Detect(hawse.Node):
        def setup(self) -> None:
            cv2.setNumThreads(1)
            self.faces = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
        def process(self, video: hawse.Video) -> hawse.Json:
            grey = cv2.cvtColor(video.pixels, cv2.COLOR_BGR2GRAY)
            return hawse.Json([list(map(int, face)) for face in self.faces.detectMultiScale(grey, 1.2, 5, minSize=(36, 36))])

    class Took(hawse.Node):
        \"""Prints how long each picture was under way, and where its faces are.\"""
        def process(self, process: hawse.Json = None, container: hawse.Json = None) -> None:
            for kind, faces in (("process", process), ("container", container)):
                if faces is not None:
                    print(kind, time.monotonic_ns() - faces.timestamp_ns, faces.text)
"""


@needs_engine
def test_a_picture_takes_as_long_through_a_detector_in_a_container_as_in_a_process(bench: Bench) -> None:
    bench.nodes(FACES)
    make_video_with_faces(bench.folder / "people.mp4")
    opencv = {"packages": ["opencv-python-headless<5"]}
    bench.write({"nodes": {"clock": {"node": "nodes.py:Clock", "params": {"film": str(bench.folder / "people.mp4"), "count": PICTURES}, "python": opencv},
                           "process": {"node": "nodes.py:Detect", "python": opencv},
                           "container": {"node": "nodes.py:Detect", "executor": "container", "container": {"python": "3.11", "apt": ["libgl1"], **opencv}},
                           "took": {"node": "nodes.py:Took", "python": opencv}},
                 "edges": ["clock.process -> process -> took.process", "clock.container -> container -> took.container"]})
    lines = [line.split(maxsplit=2) for line in bench.run_ok().log("took")]
    took, faces = ({kind: [line[what] for line in lines if line[0] == kind] for kind in KINDS} for what in (1, 2))
    assert faces["process"] == faces["container"] and len(faces["process"]) == PICTURES and sum(each != "[]" for each in faces["process"]) > PICTURES / 2
    pairs = [(int(native), int(contained)) for native, contained in zip(took["process"], took["container"])]
    ratio = statistics.median(contained / native for native, contained in pairs)
    native, contained = (median_ms(each) for each in zip(*pairs))
    print(f"clock to end through a face detector, {PICTURES} pictures: in a process {native:.3f} ms, in a container {contained:.3f} ms; median of a picture's two: {ratio:.4f} x")
    assert abs(contained - native) < 5
    assert not LONG or ratio < 1.02


@needs_engine
def test_three_containers_with_three_pythons_pass_a_frame_on_within_100_ms(bench: Bench) -> None:
    bench.nodes(NODES)
    bench.write({"nodes": {"clock": {"node": "nodes.py:Clock"}, "a": container("Through", "3.9"), "b": container("Through", "3.11"), "c": container("Through", "3.13"),
                           "took": {"node": "nodes.py:Took"}}, "edges": ["clock -> a -> b -> c -> took"]})
    run = bench.run_ok()
    lines = [line.split() for line in run.log("took")]
    assert len(lines) == 300 and all(pythons == ["3.9", "3.11", "3.13"] for _, *pythons in lines)
    print(f"through three containers, median of 300 frames: {median_ms(int(ns) for ns, *_ in lines):.3f} ms")
    assert median_ms(int(ns) for ns, *_ in lines) < 100


# ---- memory -------------------------------------------------------------------------------------------------------------------------


def processes_of(where: str) -> list[int]:
    """Of a node, as the run says where it is: "process 4711", or "container 3f2a91c04d11" with its process 1 and what that has started."""
    kind, name = where.split()
    if kind == "process":
        return [int(name)]
    found = [int(subprocess.run(["docker", "inspect", "--format", "{{.State.Pid}}", name], check=True, capture_output=True, text=True).stdout)]
    for pid in found:
        found += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


@needs_engine
def test_memory_stays_the_same_while_a_stream_flows_through_a_container(sight: Sight) -> None:
    """One node forwards a copy of each frame, another keeps the last eight of them leased."""
    sight.bench.nodes("""
        import collections
        class Pass(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                out = self.output.like(tensor)
                memoryview(out.data)[:] = memoryview(tensor.data)
                return out
        class Keep(hawse.Node):
            def setup(self) -> None:
                self.kept = collections.deque(maxlen=8)
            def process(self, tensor: hawse.Tensor) -> None:
                self.kept.append(tensor.data)
    """)
    process = sight.start({"source": {"node": "test/source", "executor": "process", "params": {"count": 0, "rate_hz": 500, "shape": [1 << 18], "dtype": "uint8"}},
                           "pass": container("Pass"), "keep": container("Keep"), "sink": {"node": "test/sink", "executor": "process", "params": {"verify": True}}},
                          ["source -> pass -> keep", "pass -> sink"])
    where = {node: view["where"] for node, view in sight.top()[0].items()}
    pids = [process.pid, *(pid for place in where.values() for pid in processes_of(place))]
    assert len(pids) == 7, "the runtime, two processes, and in each container process 1 and the node"

    def held() -> dict[str, int]:
        each = [held_by(pid) for pid in pids]
        return {what: sum(one[what] for one in each) for what in each[0]}

    sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > 200, process)
    samples = []
    end = time.monotonic() + STREAM_S
    while time.monotonic() < end:
        samples.append(held())
        time.sleep(STREAM_S / 40)
    run = sight.stop(process)
    frames = run.edge("pass", "sink")["received"]
    third = len(samples) // 3
    first, last = ({what: statistics.median(sample[what] for sample in part) for what in samples[0]} for part in (samples[:third], samples[-third:]))
    print(f"{frames} frames of 256 KiB in {STREAM_S} s, all processes together at first {first} and at last {last}")
    assert run.of("failure") == [] and frames > 20 * STREAM_S
    assert last["descriptors"] == first["descriptors"] and last["threads"] == first["threads"]
    # A leak of one frame in ten would be thousands of KiB by now; Python's own memory breathes by a few pages.
    assert last["maps"] - first["maps"] <= 4 and last["anonymous_kib"] - first["anonymous_kib"] <= 512 and last["pss_kib"] - first["pss_kib"] <= 2048


# ---- crashes ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_crash_is_reported_within_two_seconds_and_retried(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import ctypes, time
        class Crashes(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                if tensor.sequence % 10 == 0 and not tensor.given_again:
                    print(time.time_ns(), flush=True)
                    ctypes.string_at(0)
                return hawse.Text(str(tensor.sequence))
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 59, "shape": [16]}},
                           "crashes": {"node": "nodes.py:Crashes", "executor": executor, "restart": {"on": "failure", "attempts": 9, "backoff": 0, "poison_after": 0}},
                           "collect": {"node": "nodes.py:Collect"}}, "edges": [{"from": "source", "to": "crashes", "queue": 1}, "crashes -> collect"]})
    run = bench.run_ok()
    failures = run.of("failure", "crashes")
    assert len(failures) >= 3 and all(f["restarting"] and "signal 11 (SIGSEGV" in f["text"] for f in failures)
    assert {int(line) for line in run.log("collect")} == set(range(1, 60)), "and no frame is lost by it"
    crashed_ns = [int(e["text"]) for e in run.of("log", "crashes") if e["stream"] == "stdout"]  # on stderr Python says where
    reported_ns = [failure["time_ns"] - at_ns for failure, at_ns in zip(failures, crashed_ns, strict=True)]
    print(f"{executor}: reported {', '.join(f'{ns / 1e6:.1f}' for ns in reported_ns)} ms after it")
    assert median_ms(reported_ns) < 2000


# ---- starts -------------------------------------------------------------------------------------------------------------------------


@needs_engine
def test_a_cached_container_starts_within_five_seconds(bench: Bench) -> None:
    bench.nodes("""
        import six
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "node": {
        "node": "nodes.py:Node", "executor": "container", "container": {"python": "3.11", "packages": ["six==1.17.0"]}}}, "edges": ["source -> node"]})
    built = hawse("build", bench.pipeline)
    assert built.returncode == 0, built.stderr
    took_ns, phases = [], []
    for _ in range(3):
        begun_ns = time.time_ns()
        run = bench.run_ok()
        (running,) = (e for e in run.of("session") if e["state"] == "running")
        took_ns.append(running["time_ns"] - begun_ns)
        phases.append(run.node("node")["phases_ms"])
    print(f"from the command's start to the first frame: {', '.join(f'{ns / 1e6:.0f}' for ns in took_ns)} ms; of it the container: {phases}")
    assert median_ms(took_ns) < 5000


# ---- sessions -----------------------------------------------------------------------------------------------------------------------


def state_files() -> set[str]:
    state = pathlib.Path(os.environ.get("HAWSE_STATE") or ("/var/lib/hawse" if os.geteuid() == 0 else pathlib.Path.home() / ".local/state/hawse"))
    return {str(path) for path in state.rglob("*")}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_sessions_one_after_another_leave_nothing(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Pass(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                return self.output.like(tensor)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 3, "shape": [10]}}, "pass": {"node": "nodes.py:Pass", "executor": executor},
                           "sink": {"node": "test/sink"}}, "edges": ["source -> pass -> sink"]})
    time.sleep(0.2)  # what was read of a source that has changed just now isn't kept
    bench.run_ok()
    kept, mounts = state_files(), pathlib.Path("/proc/self/mountinfo").read_text().count("hawse")
    for _ in range(SESSIONS[executor]):
        assert bench.run_ok().edge("pass", "sink")["received"] == 3
        assert_nothing_left()
    assert state_files() <= kept, "what one session kept for the next serves all"
    assert pathlib.Path("/proc/self/mountinfo").read_text().count("hawse") == mounts


@needs_engine
def test_five_sessions_at_once_are_not_mixed_up(sight: Sight) -> None:
    """Every byte of every frame, every line of every log and every answer of every control socket is of its own session."""
    sight.bench.nodes("""
        import struct, time
        class Node(hawse.Node):
            def setup(self, session: int) -> None:
                self.session, self.number = session, 0
            def say(self) -> None:
                if self.number % 50 == 0:
                    print(f"session {self.session}: {self.number}")
                    self.log.info(f"session {self.session}: {self.number}")
            def check(self, frame) -> None:
                self.number += 1
                if bytes(frame.data) != struct.pack("<qq", self.session, self.number) * 512:
                    raise ValueError(f"session {self.session}, frame {self.number} begins with {bytes(frame.data[:16])}")
                self.say()
        class Source(Node):
            def produce(self) -> hawse.Bytes:
                time.sleep(0.005)
                self.number += 1
                out = self.output.bytes(8192)
                out.data[:] = struct.pack("<qq", self.session, self.number) * 512
                self.say()
                return out
        class Relay(Node):
            def process(self, data: hawse.Bytes) -> hawse.Bytes:
                self.check(data)
                return data
        class Sink(Node):
            def process(self, data: hawse.Bytes) -> None:
                self.check(data)
    """)
    params = {"params": {"session": "${session}"}}
    nodes = {"source": container("Source", **params), "relay": container("Relay", **params), "sink": {"node": "nodes.py:Sink", **params}}
    sight.bench.write({"variables": {"session": 0}, "nodes": nodes, "edges": ["source -> relay -> sink"]})
    sessions = {n: sight.bench.start("--set", f"session={n}", env=sight.env) for n in range(5)}
    sight.started += sessions.values()

    def running() -> dict[int, str]:
        """The id of each session by its process."""
        return {session["pid"]: session["id"] for session in sight.ps() if session["state"] == "running"}

    for process in sessions.values():
        sight.wait_until(lambda process=process: process.pid in running(), process)
    ids = running()
    assert len(set(ids.values())) == 5 and set(ids) == {process.pid for process in sessions.values()}
    where = [view["where"] for identity in ids.values() for view in top(sight, identity)]
    assert len(set(where)) == 15, "each node of each session is somewhere else"

    def handled() -> list[int]:
        return [next(view["frames_in"] for view in top(sight, ids[process.pid]) if view["node"] == "sink") for process in sessions.values()]

    end = time.monotonic() + TOGETHER_S
    while time.monotonic() < end:
        before = handled()
        sight.wait_until(lambda: all(now > then for now, then in zip(handled(), before, strict=True)))
        assert running() == ids
    for n, process in sessions.items():
        for line in json_lines(sight.ok("logs", ids[process.pid], "--json")):
            assert line["stream"] == "runtime" or line["text"].startswith(f"session {n}: "), line
    received = [ended_in_order(sight.stop(process), n) for n, process in sessions.items()]
    print(f"five sessions, {TOGETHER_S} s: {received} frames checked")


def top(sight: Sight, session: str) -> list[dict[str, typing.Any]]:
    return json.loads(sight.ok("top", session, "--once", "--json", "--interval", "200ms"))["node_list"]


def ended_in_order(run: Run, session: int) -> int:
    assert run.code == 130 and run.of("failure") == []
    assert run.of("log") and all(e["text"].startswith(f"session {session}: ") for e in run.of("log"))
    counts = {run.edge("source", "relay")["frames"], run.edge("relay", "sink")["received"]}
    assert len(counts) == 1, "what was sent came through"
    return counts.pop()


# ---- output -------------------------------------------------------------------------------------------------------------------------


@needs_engine
def test_all_that_a_container_puts_out_is_in_the_log_with_its_node_and_time(bench: Bench) -> None:
    """Of the module's import, of print, of self.log, of a child process, of C code, of the C library as it aborts, and a last line without an end."""
    bench.nodes("""
        import ctypes, os, subprocess, sys
        print("as it is imported")
        class Talks(hawse.Node):
            def setup(self) -> None:
                print("in setup")
            def process(self, tensor: hawse.Tensor) -> None:
                for n in range(5000):
                    print("line", n)
                print("to stderr", file=sys.stderr)
                for level in ("info", "warning", "error"):
                    getattr(self.log, level)("logged as " + level)
                subprocess.run(["sh", "-c", "echo of a child; echo of a child, to stderr >&2"])
                c = ctypes.CDLL(None)
                c.write(1, b"of C code\\n", 10)
                os.write(1, b"the last line has no end")
                c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
                c.free(c.malloc(64) + 8)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "talks": container("Talks")}, "edges": ["source -> talks"]})
    begun_ns = time.time_ns()
    run = bench.run()
    assert run.code == 5
    lines = run.of("log", "talks")
    assert all(begun_ns <= line["time_ns"] <= time.time_ns() for line in lines)
    said = {stream: [line["text"] for line in lines if line["stream"] == stream] for stream in ("stdout", "stderr", "log")}
    assert said["stdout"] == ["as it is imported", "in setup", *(f"line {n}" for n in range(5000)), "of a child", "of C code", "the last line has no end"]
    assert said["stderr"][:4] == ["to stderr", "of a child, to stderr", "free(): invalid pointer", "Fatal Python error: Aborted"]  # and where, by Python's fault handler
    assert [(line["level"], line["text"]) for line in lines if line["stream"] == "log"] == [(level, "logged as " + level) for level in ("info", "warning", "error")]
    (failure,) = run.of("failure", "talks")
    assert "signal 6 (SIGABRT" in failure["text"]
    assert run.node("talks").get("lines_left_out", 0) == 0
