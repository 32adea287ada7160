# SPDX-License-Identifier: Apache-2.0
"""One suite over every executor: whatever holds for a node as a process holds for it as a container."""
from __future__ import annotations

import pytest
from harness import CONTROL_GROUPS, EXECUTORS, PASS, Bench, needs_engine

pytestmark = pytest.mark.parametrize("executor", EXECUTORS)


def python_node(executor: str, name: str, **more: object) -> dict[str, object]:
    return {"node": f"nodes.py:{name}", "executor": executor, **more}


def source(count: int = 20, **params: object) -> dict[str, object]:
    return {"node": "test/source", "params": {"count": count, "shape": [256], **params}}


SINK = {"node": "test/sink"}


def test_every_frame_arrives_in_order_and_unchanged(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Pass(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                out = self.output.like(tensor)
                out.array[:] = tensor.array
                return out
    """)
    sink = {**SINK, "params": {"verify": True}}  # fails on the first byte that isn't as it was sent, and on the first frame that isn't the next
    bench.write({"nodes": {"source": source(200), "pass": python_node(executor, "Pass"), "sink": sink}, "edges": ["source -> pass -> sink"]})
    run = bench.run_ok()
    assert any(line.startswith("200 frames, ") and line.endswith("every one as it was sent") for line in run.log("sink"))
    assert run.edge("pass", "sink")["frames"] == 200
    assert run.edge("pass", "sink")["received"] == 200
    assert run.edge("source", "pass")["copies"] == run.edge("pass", "sink")["copies"] == 0
    assert run.node("pass")["where"].startswith(executor)


def test_numpy_reads_and_writes_the_shared_memory_itself(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import numpy
        class Double(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                assert not tensor.array.flags.writeable and not tensor.array.flags.owndata
                out = self.output.tensor(shape=tensor.array.shape, dtype="float32")
                numpy.multiply(tensor.array, 2, out=out.array)
                return out
        class Check(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                self.log.info("sum %d", tensor.array.sum())
    """)
    numpy = {"container": {"packages": ["numpy"]}, "python": {"packages": ["numpy"]}}
    bench.write({"nodes": {"source": source(3, dtype="float32"), "double": python_node(executor, "Double", **numpy),
                           "check": python_node(executor, "Check", **numpy)}, "edges": ["source -> double -> check"]})
    run = bench.run_ok()
    sums = [line for line in run.log("check") if line.startswith("sum")]
    assert len(sums) == 3 and all(int(line.split()[1]) > 0 for line in sums)
    assert run.edge("double", "check")["copies"] == 0


def test_all_forms_of_process_give_the_same(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import typing
        class Returns(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                return hawse.Text(f"{tensor.sequence}")
        class Lists(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> typing.List[hawse.Text]:
                return [hawse.Text(f"{tensor.sequence}")]
        class Yields(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> typing.Iterator[hawse.Text]:
                yield hawse.Text(f"{tensor.sequence}")
        class Awaits(hawse.Node):
            async def process(self, tensor: hawse.Tensor) -> hawse.Text:
                return hawse.Text(f"{tensor.sequence}")
        class AsyncYields(hawse.Node):
            async def process(self, tensor: hawse.Tensor) -> typing.AsyncIterator[hawse.Text]:
                yield hawse.Text(f"{tensor.sequence}")
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                self.log.info("got %s", text.text)
    """)
    forms = ["Returns", "Lists", "Yields", "Awaits", "AsyncYields"]
    # Debian's python3-minimal has no asyncio: the async forms are tried where a whole Python is.
    bench.write({"nodes": {"source": source(4), **{f.lower(): python_node(executor, f) for f in forms}, "collect": python_node(executor, "Collect")},
                 "edges": [f"source -> {f.lower()} -> collect" for f in forms]})
    run = bench.run_ok()
    got = sorted(line for line in run.log("collect") if line.startswith("got"))
    assert got == sorted(f"got {n}" for n in range(1, 5) for _ in forms)


def test_a_source_in_python_ends_by_its_generator_or_by_end_of_stream(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Generates(hawse.Node):
            def setup(self, count: int = 3) -> None:
                self.count = count
            def produce(self) -> hawse.Text:
                for n in range(self.count):
                    yield hawse.Text(f"generated {n}")
        class Raises(hawse.Node):
            def setup(self) -> None:
                self.n = 0
            def produce(self) -> hawse.Text:
                self.n += 1
                if self.n > 3:
                    raise hawse.EndOfStream
                return hawse.Text(f"produced {self.n}")
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    bench.write({"nodes": {"a": python_node(executor, "Generates", params={"count": 5}), "b": python_node(executor, "Raises"),
                           "collect": python_node(executor, "Collect")}, "edges": ["a -> collect", "b -> collect"]})
    lines = bench.run_ok().log("collect")
    assert [x for x in lines if x.startswith("generated")] == [f"generated {n}" for n in range(5)]
    assert [x for x in lines if x.startswith("produced")] == [f"produced {n}" for n in range(1, 4)]


def test_several_ports_fan_in_and_fan_out(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Split(hawse.Node):
            outputs = {"odd": hawse.Text, "even": hawse.Text}
            def process(self, tensor: hawse.Tensor):
                yield ("odd" if tensor.sequence % 2 else "even"), hawse.Text(str(tensor.sequence))
        class Join(hawse.Node):
            def process(self, left: hawse.Text = None, right: hawse.Text = None) -> hawse.Text:
                return hawse.Text(f"left {left.text}" if left is not None else f"right {right.text}")
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    bench.write({"nodes": {"source": source(6), "split": python_node(executor, "Split"), "join": python_node(executor, "Join"),
                           "collect": python_node(executor, "Collect"), "also": python_node(executor, "Collect")},
                 "edges": ["source -> split", "split.odd -> join.left", "split.even -> join.right", "join -> collect", "join -> also"]})
    run = bench.run_ok()
    assert sorted(run.log("collect")) == sorted([*(f"left {n}" for n in (1, 3, 5)), *(f"right {n}" for n in (2, 4, 6))])
    assert sorted(run.log("also")) == sorted(run.log("collect"))


def test_finish_sends_and_close_is_called(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Count(hawse.Node):
            def setup(self) -> None:
                self.n = 0
            def process(self, tensor: hawse.Tensor) -> None:
                self.n += 1
            def finish(self) -> hawse.Text:
                return hawse.Text(f"counted {self.n}")
            def close(self) -> None:
                print("closed")
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    bench.write({"nodes": {"source": source(7), "count": python_node(executor, "Count"), "collect": python_node(executor, "Collect")},
                 "edges": ["source -> count -> collect"]})
    run = bench.run_ok()
    assert run.log("collect") == ["counted 7"]
    assert run.log("count") == ["closed"]


def test_prints_and_log_lines_arrive_with_node_and_stream(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import sys
        class Talk(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("to stdout")
                print("to stderr", file=sys.stderr)
                self.log.warning("frame %d", tensor.sequence)
    """)
    bench.write({"nodes": {"source": source(1), "talk": python_node(executor, "Talk")}, "edges": ["source -> talk"]})
    lines = {(e["stream"], e["text"], e.get("level")) for e in bench.run_ok().of("log", "talk")}
    assert lines == {("stdout", "to stdout", None), ("stderr", "to stderr", None), ("log", "frame 1", "warning")}


def test_an_exception_shows_the_users_own_lines(bench: Bench, executor: str) -> None:
    bench.nodes("""
        def deeper(n):
            raise ValueError(f"frame {n} is unlucky")
        class Fails(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                if tensor.sequence == 3:
                    deeper(tensor.sequence)
    """)
    bench.write({"nodes": {"source": source(5), "fails": python_node(executor, "Fails")}, "edges": ["source -> fails"]})
    run = bench.run()
    assert run.code == 5
    (failure,) = run.of("failure", "fails")
    assert failure["text"] == "failed in process on frame 3: ValueError: frame 3 is unlucky"
    assert 'nodes.py", line 4, in deeper' in failure["traceback"] and "raise ValueError" in failure["traceback"]
    assert "_host.py" not in failure["traceback"] and "_main.py" not in failure["traceback"]


def test_a_failing_setup_ends_the_run_before_a_frame_flows(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Fails(hawse.Node):
            def setup(self) -> None:
                raise RuntimeError("no model here")
            def process(self, tensor: hawse.Tensor) -> None:
                print("a frame")
    """)
    bench.write({"nodes": {"source": source(5), "fails": python_node(executor, "Fails")}, "edges": ["source -> fails"]})
    run = bench.run()
    assert run.code == 5
    assert run.of("failure", "fails")[0]["text"] == "failed in setup: RuntimeError: no model here"
    assert run.log("fails") == []


def test_a_missing_module_is_named(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import no_such_module
        class Fails(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    bench.write({"nodes": {"source": source(5), "fails": python_node(executor, "Fails")}, "edges": ["source -> fails"]})
    run = bench.run()
    assert run.code == 5
    assert "No module named 'no_such_module'" in run.of("failure", "fails")[0]["text"]


@pytest.mark.parametrize("how", ["os._exit(7)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_node_that_dies_is_started_again_and_no_frame_is_lost(bench: Bench, executor: str, how: str) -> None:
    bench.nodes(f"""
        import os, signal
        class Dies(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                if tensor.sequence == 10 and not tensor.given_again:
                    {how}
                return hawse.Text(str(tensor.sequence))
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    bench.write({"nodes": {"source": source(50), "dies": python_node(executor, "Dies", restart={"on": "failure", "attempts": 2}),
                           "collect": python_node(executor, "Collect")}, "edges": ["source -> dies -> collect"]})
    run = bench.run_ok()
    got = [int(line) for line in run.log("collect")]
    assert sorted(set(got)) == list(range(1, 51)), "at least once, none lost"
    assert run.node("dies")["restarts"] == 1
    (failure,) = run.of("failure", "dies")
    assert failure["restarting"] and ("code 7" in failure["text"] or "signal 9" in failure["text"])


def test_attempts_are_counted_and_then_the_node_stays_down(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Dies(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                raise RuntimeError("always")
    """)
    bench.write({"nodes": {"source": source(5), "dies": python_node(executor, "Dies", restart={"on": "failure", "attempts": 3, "backoff": "10ms", "poison_after": 0}),
                           "sink": SINK}, "edges": ["source -> dies", "source -> sink"]})
    run = bench.run()
    assert run.code == 5
    assert [f["attempt"] for f in run.of("failure", "dies")] == [1, 2, 3]
    assert run.edge("source", "sink")["received"] == 5, "a failed node is nobody else's business"
    assert run.edge("source", "dies")["dropped"] == 4, "what it never had"


def test_a_memory_limit_is_named_with_its_peak(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Eats(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                self.kept = bytearray(512 << 20)
    """)
    bench.write({"nodes": {"source": source(5), "eats": python_node(executor, "Eats", limits={"memory": "96MiB"})}, "edges": ["source -> eats"]})
    run = bench.run()
    if executor == "container" and not CONTROL_GROUPS:
        assert run.node("eats")["limits_by"] == "nothing: no control group of its own"
        assert [notice["text"] for notice in run.of("notice", "eats")] == ["its limits don't hold: its engine gave it no control group of its own"]
        return
    assert run.code == 5
    (failure,) = run.of("failure", "eats")
    if failure["kind"] == "exception":
        assert run.node("eats")["limits_by"] == "rlimit" and "MemoryError" in failure["text"]
        return
    assert failure["kind"] == "out of memory" and failure["limit_bytes"] == 96 << 20
    assert 64 << 20 < failure["peak_bytes"] <= 96 << 20
    assert failure["text"].startswith("met its memory limit: 96 MiB, peak ")


def test_a_node_that_is_not_ready_in_time_is_ended(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import time
        class Slow(hawse.Node):
            def setup(self) -> None:
                print("loading", flush=True)
                time.sleep(600)
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    bench.write({"nodes": {"source": source(5), "slow": python_node(executor, "Slow", start_timeout="2s")}, "edges": ["source -> slow"]})
    run = bench.run()
    assert run.code == 5
    (failure,) = run.of("failure", "slow")
    assert failure["text"] == "did not become ready within 2 s" and failure["tail"] == ["loading"]


@pytest.mark.parametrize(("when_full", "lossless"), [("block", True), ("drop_oldest", False), ("drop_newest", False), ("latest", False)])
def test_a_slow_reader_blocks_or_drops_as_the_edge_says(bench: Bench, executor: str, when_full: str, lossless: bool) -> None:
    bench.nodes("""
        import time
        class Slow(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                time.sleep(0.005)
                print(tensor.sequence)
    """)
    bench.write({"nodes": {"source": source(100), "slow": python_node(executor, "Slow")},
                 "edges": [{"from": "source", "to": "slow", "queue": 4, "when_full": when_full}]})
    run = bench.run_ok()
    got = [int(line) for line in run.log("slow")]
    edge = run.edge("source", "slow")
    assert got == sorted(set(got))
    assert len(got) + edge["dropped"] == 100
    assert (edge["dropped"] == 0) == lossless
    if when_full in ("drop_oldest", "latest"):
        assert got[-1] == 100, "the newest frame is never the one that is dropped"
    if when_full == "drop_newest":
        assert got[:4] == [1, 2, 3, 4]


@pytest.mark.parametrize("size", [0, 1, 4096, 3840 * 2160 * 4, 256 << 20])
def test_frames_from_nothing_to_256_mib_pass_both_ways(bench: Bench, executor: str, size: int) -> None:
    bench.nodes("""
        class Mirror(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Bytes:
                data = memoryview(tensor.data)
                out = self.output.bytes(data.nbytes)
                memoryview(out.data)[:] = data
                return out
        class Check(hawse.Node):
            def process(self, data: hawse.Bytes) -> None:
                view = memoryview(data.data)
                print(view.nbytes, view.readonly, sum(view[:64]), sum(view[-64:]) if view.nbytes else 0)
    """)
    bench.write({"nodes": {"source": source(2, shape=[size], dtype="uint8"), "mirror": python_node(executor, "Mirror"), "check": python_node(executor, "Check")},
                 "edges": [{"from": "source", "to": "mirror", "queue": 1}, {"from": "mirror", "to": "check", "queue": 1}]})
    run = bench.run_ok()
    # The test pattern (docs/nodes.md): byte i of frame n is (n + i) mod 128.
    expected = [f"{size} True {sum((n + i) % 128 for i in range(min(size, 64)))} {sum((n + i) % 128 for i in range(max(size - 64, 0), size))}" for n in (1, 2)]
    assert run.log("check") == expected


def test_every_type_of_frame_keeps_what_describes_it(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Makes(hawse.Node):
            outputs = {"audio": hawse.Audio, "video": hawse.Video, "image": hawse.Image, "tensor": hawse.Tensor, "text": hawse.Text, "json": hawse.Json, "raw": hawse.Bytes}
            def produce(self):
                yield "audio", self.outputs["audio"].audio(samples=160, channels=2, rate=16000, timestamp_ns=5)
                yield "video", self.outputs["video"].video(height=4, width=6, format="rgb24", rate=25, timestamp_ns=6)
                yield "image", self.outputs["image"].image(height=4, width=6, format="gray8")
                yield "tensor", self.outputs["tensor"].tensor(shape=(2, 3, 4), dtype="int16")
                yield "text", hawse.Text("gr\\u00fc\\u00dfe", timestamp_ns=7, duration_ns=8)
                yield "json", hawse.Json({"a": [1, None, "x"]})
                yield "raw", hawse.Bytes(b"\\x00\\xff")
        class Shows(hawse.Node):
            def process(self, frame: hawse.Frame) -> None:
                print(type(frame).__name__, frame.timestamp_ns if frame.timestamp_ns < 100 else "-", *show(frame))
        def show(frame):
            if isinstance(frame, hawse.Audio): return frame.shape, frame.rate, frame.duration_ms
            if isinstance(frame, (hawse.Video, hawse.Image)): return frame.shape, frame.format
            if isinstance(frame, hawse.Tensor): return frame.shape, frame.dtype
            if isinstance(frame, hawse.Text): return frame.text, frame.duration_ns
            if isinstance(frame, hawse.Json): return (frame.value,)
            return (bytes(frame.data),)
    """)
    ports = ["audio", "video", "image", "tensor", "text", "json", "raw"]
    bench.write({"nodes": {"makes": python_node(executor, "Makes"), "shows": python_node(executor, "Shows")}, "edges": [f"makes.{p} -> shows" for p in ports]})
    assert sorted(bench.run_ok().log("shows")) == sorted([
        "Audio 5 (160, 2) 16000 10.0", "Video 6 (4, 6, 3) rgb24", "Image - (4, 6, 1) gray8", "Tensor - (2, 3, 4) int16",
        "Text 7 gr\u00fc\u00dfe 8", "Json - {'a': [1, None, 'x']}", "Bytes - b'\\x00\\xff'"])


def test_leased_frames_stay_valid_for_as_long_as_a_view_lives(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Keeps(hawse.Node):
            def setup(self) -> None:
                self.kept = []
            def process(self, tensor: hawse.Tensor) -> None:
                self.kept.append((tensor.sequence, memoryview(tensor.data)))
            def finish(self) -> None:
                bad = [n for n, view in self.kept if bytes(view) != bytes((n + i) % 128 for i in range(256))]
                print("kept", len(self.kept), "bad", bad)
    """)
    bench.write({"nodes": {"source": source(300, dtype="uint8"), "keeps": python_node(executor, "Keeps")}, "edges": ["source -> keeps"]})
    assert bench.run_ok().log("keeps") == ["kept 300 bad []"]


PAIRS = """
    class Times(hawse.Node):
        def setup(self, times: list) -> None:
            self.times = times
        def produce(self) -> hawse.Text:
            for time in self.times:
                yield hawse.Text(f"{self.id}{time}", timestamp_ns=time * 1_000_000)
    class Pair(hawse.Node):
        def process(self, a: hawse.Text, b: hawse.Text) -> hawse.Text:
            return hawse.Text(f"{a.text}+{b.text}")
    class Collect(hawse.Node):
        def process(self, text: hawse.Text) -> None:
            print(text.text, text.timestamp_ns // 1_000_000)
"""


def test_matched_inputs_come_together_and_what_has_no_partner_is_counted(bench: Bench, executor: str) -> None:
    bench.nodes(PAIRS)
    bench.write({"nodes": {"a": python_node(executor, "Times", params={"times": [100, 200, 300, 500, 600, 700]}),
                           "b": python_node(executor, "Times", params={"times": [110, 290, 400, 510]}),
                           "pair": python_node(executor, "Pair", inputs={"match": "timestamp", "tolerance": "20ms", "wait": "60s", "hold": 4}),
                           "collect": python_node(executor, "Collect")}, "edges": ["a -> pair.a", "b -> pair.b", "pair -> collect"]})
    run = bench.run_ok()
    assert run.log("collect") == ["a100+b110 100", "a300+b290 290", "a500+b510 500"]
    assert run.node("pair")["unmatched"] == {"a": 3, "b": 1}
    assert (run.edge("a", "pair")["unmatched"], run.edge("b", "pair")["unmatched"]) == (3, 1)
    assert run.node("pair")["frames_in"] == 10 and run.edge("a", "pair")["received"] == 6


def test_a_timer_is_an_input_and_nobody_waits_for_its_end(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Works(hawse.Node):
            def setup(self) -> None:
                self.ticks = []
            def process(self, text: hawse.Text = None, tick: hawse.Json = None) -> None:
                if tick is not None:
                    self.ticks.append((tick.value["tick"], tick.value["missed"]))
            def finish(self) -> None:
                print(len(self.ticks) > 0, all(b[0] == a[0] + 1 + b[1] for a, b in zip(self.ticks, self.ticks[1:])))
        class Says(hawse.Node):
            def produce(self) -> hawse.Text:
                import time
                for n in range(5):
                    time.sleep(0.02)
                    yield hawse.Text(str(n))
    """)
    timer = {"node": "hawse/timer", "params": {"every": "5ms"}, "executor": "thread" if executor == "process" else "process"}
    bench.write({"nodes": {"says": python_node(executor, "Says"), "timer": timer, "works": python_node(executor, "Works")},
                 "edges": ["says -> works.text", "timer -> works.tick"]})
    run = bench.run_ok()
    assert run.log("works") == ["True True"]
    assert run.edge("says", "works")["received"] == 5


def test_a_voice_agent_is_cut_short_by_a_flush(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import time
        class Listen(hawse.Node):
            def setup(self) -> None:
                self.n = 0
            def produce(self) -> hawse.Text:
                self.n += 1
                if self.n == 1:
                    return hawse.Text("a long story")
                if self.n > 2:
                    raise hawse.EndOfStream
                time.sleep(0.3)
                print("interrupts", time.monotonic_ns())
                self.output.flush()
                return hawse.Text("yes?")
        class Speak(hawse.Node):
            def process(self, text: hawse.Text) -> hawse.Text:
                for n in range(1000 if "long" in text.text else 1):
                    yield hawse.Text(f"{text.text} {n}")
        class Play(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print("begins", text.text)
                end = time.monotonic() + 0.05
                while not self.interrupted and time.monotonic() < end:
                    time.sleep(0.0005)
            def flushed(self, port: str) -> None:
                print("silent", time.monotonic_ns())
    """)
    names = ("Listen", "Speak", "Play")
    bench.write({"nodes": {name.lower(): python_node(executor, name) for name in names}, "edges": ["listen -> speak -> play"]})
    run = bench.run_ok()
    said = [line.split()[0] if line.startswith("silent") else line for line in run.log("play")]
    at = said.index("silent")
    assert said[0] == "begins a long story 0" and said[at + 1:] == ["begins yes? 0"], "nothing of the story comes after the flush"
    edge = run.edge("speak", "play")
    assert edge["flushed"] > 0 and edge["dropped"] == 0 and edge["received"] == at + 1
    began, silent = (next(int(line.split()[1]) for line in run.log(node) if line.startswith(word)) for node, word in (("listen", "interrupts"), ("play", "silent")))
    print(f"{executor}: silent {(silent - began) / 1e6:.2f} ms after the interruption, through two nodes")


def test_the_same_pipeline_moves_by_one_word(bench: Bench, executor: str) -> None:
    bench.nodes("""
        class Where(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("here")
    """)
    other = "process" if executor == "container" else "container"
    bench.write({"nodes": {"source": source(1), "where": python_node(other, "Where")}, "edges": ["source -> where"]})
    run = bench.run_ok("--executor", f"where={executor}")
    assert run.log("where") == ["here"] and run.node("where")["where"].startswith(executor)


@needs_engine
def test_three_executors_work_in_one_pipeline(bench: Bench, executor: str) -> None:
    bench.nodes(PASS)
    other = "process" if executor == "container" else "container"
    bench.write({"nodes": {"source": source(30), "a": python_node(executor, "Pass"), "b": python_node(other, "Pass"),
                           "sink": {"node": "test/sink", "params": {"verify": True}}}, "edges": ["source -> a -> b -> sink"]})
    run = bench.run_ok()
    assert [run.node(n)["where"].split()[0] for n in ("source", "a", "b", "sink")] == ["thread", executor, other, "thread"]
    assert run.edge("b", "sink")["received"] == 30
