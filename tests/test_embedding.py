# SPDX-License-Identifier: Apache-2.0
"""A pipeline inside a program: frames in by name, frames out by name, in Python (sync and async) and in C++."""
from __future__ import annotations

import asyncio
import os
import pathlib
import subprocess
import sys

import numpy
import pytest
from harness import EXECUTORS, HAWSE, ROOT, SDK, Bench

sys.path.insert(0, str(SDK))
os.environ["HAWSE"] = str(HAWSE)
import hawse  # noqa: E402


def doubling(bench: Bench, executor: str) -> pathlib.Path:
    bench.nodes("""
        class Double(hawse.Node):
            def process(self, audio: hawse.Audio) -> hawse.Text:
                view = memoryview(audio.data).cast("B").cast("f")
                return hawse.Text(f"{audio.sequence}: {sum(view):g}", timestamp_ns=audio.timestamp_ns)
    """)
    return bench.write({"inputs": {"mic": "double.audio"}, "outputs": {"text": "double"}, "nodes": {"double": {"node": "nodes.py:Double", "executor": executor}}, "edges": []})


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_session_takes_and_gives_frames(bench: Bench, executor: str) -> None:
    with hawse.Pipeline(doubling(bench, executor)).start() as session:
        for n in range(3):
            session.send("mic", hawse.Audio(samples=numpy.full((4, 1), n + 1, "float32"), rate=16000))
        assert [session.receive("text", timeout=60).text for _ in range(3)] == ["1: 4", "2: 8", "3: 12"]
        built = session.input("mic").audio(samples=2, channels=1, rate=16000, timestamp_ns=42)
        built.samples[:] = 0.5
        session.send("mic", built)
        answer = session.receive("text", timeout=60)
        assert (answer.text, answer.timestamp_ns) == ("4: 1", 42)
        session.end("mic")
        assert session.receive("text") is None
        assert session.wait() == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_session_flushes_and_hears_of_a_flush(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import time
        class Echo(hawse.Node):
            def process(self, text: hawse.Text) -> hawse.Text:
                yield hawse.Text(f"{text.text} 1")
                while text.text == "old" and not self.interrupted:
                    time.sleep(0.001)
                yield hawse.Text(f"{text.text} 2")
    """)
    manifest = bench.write({"inputs": {"mic": "echo.text"}, "outputs": {"said": "echo"}, "nodes": {"echo": {"node": "nodes.py:Echo", "executor": executor}}, "edges": []})
    heard: list[str] = []
    with hawse.Pipeline(manifest).start(on_flush=heard.append) as session:
        session.send("mic", "old")
        assert session.receive("said", timeout=60).text == "old 1"
        for n in range(3):
            session.send("mic", f"void {n}")
        session.flush("mic")
        session.send("mic", "new")
        assert [session.receive("said", timeout=60).text for _ in range(2)] == ["new 1", "new 2"]
        assert heard == ["said"]
        session.end("mic")
        assert session.wait() == 0
        summary = next(event for event in session.events if event["event"] == "summary")
        assert [edge["flushed"] for edge in summary["edges"] if edge["to"] == "echo.text"] == [3]


def test_a_session_works_with_asyncio(bench: Bench) -> None:
    async def talk() -> list[str]:
        got = []
        async with hawse.Pipeline(doubling(bench, "process")).start() as session:
            for n in range(3):
                await session.asend("mic", hawse.Audio(samples=numpy.full((4, 1), n + 1, "float32"), rate=16000))
                frame = await session.areceive("text")
                got.append(frame.text)
            session.end("mic")
        return got

    assert asyncio.run(talk()) == ["1: 4", "2: 8", "3: 12"]


def test_a_bad_manifest_raises_with_the_findings(bench: Bench) -> None:
    bench.write("version: 1\nname: x\nnoeds: {}\n")
    with pytest.raises(hawse.PipelineError) as raised:
        hawse.Pipeline(bench.pipeline).start()
    assert "pipeline.yaml:3:1" in str(raised.value) and "nodes" in str(raised.value)


def test_leaving_a_session_early_stops_it(bench: Bench) -> None:
    with hawse.Pipeline(doubling(bench, "process")).start() as session:
        session.send("mic", hawse.Audio(samples=numpy.zeros((4, 1), "float32"), rate=16000))


def test_a_failing_node_is_told_to_the_program(bench: Bench) -> None:
    bench.nodes("""
        class Fails(hawse.Node):
            def process(self, audio: hawse.Audio) -> hawse.Text:
                raise ValueError("no")
    """)
    bench.write({"inputs": {"mic": "fails.audio"}, "outputs": {"text": "fails"}, "nodes": {"fails": {"node": "nodes.py:Fails"}}, "edges": []})
    with hawse.Pipeline(bench.pipeline).start() as session:
        session.send("mic", hawse.Audio(samples=numpy.zeros((4, 1), "float32"), rate=16000))
        assert session.receive("text", timeout=60) is None
        session.end("mic")
        assert session.wait() == 5


def test_a_cpp_program_embeds_a_pipeline(bench: Bench) -> None:
    program = ROOT / "build" / "tests" / "embed_program"
    done = subprocess.run([program, doubling(bench, "process")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1: 4\n2: 8\n3: 12\n"


def test_a_cpp_program_as_a_node(bench: Bench) -> None:
    program = ROOT / "build" / "tests" / "scale_program"
    bench.nodes("""
        class Check(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print(sum(memoryview(tensor.data).cast("B").cast("f")))
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 2, "shape": [4], "dtype": "float32"}},
                           "gain": {"node": str(program), "params": {"gain": 10}}, "check": {"node": "nodes.py:Check"}}, "edges": ["source -> gain -> check"]})
    run = bench.run_ok()
    assert run.log("check") == [str(10.0 * sum(n + i for i in range(4))) for n in (1, 2)]
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 2, "shape": [4], "dtype": "float32"}},
                           "gain": {"node": str(program), "params": {"gian": 10}}, "check": {"node": "nodes.py:Check"}}, "edges": ["source -> gain -> check"]})
    done = bench.run()
    assert done.code == 3 and "gain" in done.stderr, "its parameters are read from the program's file"
