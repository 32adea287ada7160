# SPDX-License-Identifier: Apache-2.0
"""`hawse advise`: what it says of real pipelines, what it writes into manifests, and what it leaves alone."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import typing

import pytest
from harness import ENGINE, HAWSE, ROOT, Bench, hawse, needs_engine
from test_examples import EXAMPLES, make_video_with_faces, recogniser_needs, speech

NODES = """
    import pathlib
    import time

    class Copy(hawse.Node):
        def process(self, data: hawse.Bytes) -> hawse.Bytes:
            return hawse.Bytes(bytes(data.data))

    class Slow(hawse.Node):
        def setup(self) -> None:
            self.ballast = b"x" * (100 << 20)

        def process(self, data: hawse.Bytes) -> hawse.Bytes:
            time.sleep(0.005)
            return hawse.Bytes(bytes(data.data))

    class Keep(hawse.Node):
        def setup(self, path: pathlib.Path) -> None:
            self.file = open(path, "ab")

        def process(self, data: hawse.Bytes) -> None:
            self.file.write(data.data)
"""
NO_ENGINE = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def chain(node: str = "nodes.py:Copy", count: int = 20, **more: typing.Any) -> dict[str, typing.Any]:
    """source -> work -> sink."""
    return {"nodes": {"source": {"node": "test/source", "params": {"count": count, "bytes": 64, "type": "bytes"}},
                      "work": {"node": node, **more},
                      "sink": {"node": "test/sink"}},
            "edges": ["source -> work -> sink"]}


def advise(pipeline: pathlib.Path, *arguments: str, **options: typing.Any) -> dict[str, typing.Any]:
    done = hawse("advise", pipeline, "--json", "--quiet", *arguments, **options)
    assert done.returncode == 0, done.stderr
    advice: dict[str, typing.Any] = json.loads(done.stdout)
    advice["by"] = {node["node"]: node for node in advice["nodes"]}
    return advice


def reasons(node: dict[str, typing.Any]) -> str:
    return "\n".join(node["reasons"])


@needs_engine
def test_a_node_that_starts_often_and_runs_shortly_is_advised_to_be_a_process(bench: Bench) -> None:
    bench.nodes(NODES)
    work = advise(bench.write(chain(executor="container")), "--seconds", "2")["by"]["work"]
    assert work["now"] == "container" and work["advice"] == "process" and work["firm"]
    assert work["rule"] == "short tasks are native" and "that life" in reasons(work)
    assert 0 < work["process"]["life_s"] and 0 < work["process"]["start_ms"] < work["container"]["start_ms"]
    assert work["process"]["frames"] == work["container"]["frames"] == 2 * 20


@needs_engine
def test_a_long_running_batch_node_is_advised_into_a_container_with_a_limit_from_its_peak(bench: Bench) -> None:
    bench.nodes(NODES)
    work = advise(bench.write(chain("nodes.py:Slow", count=0)), "--seconds", "2")["by"]["work"]
    assert work["now"] == "process" and work["advice"] == "container", reasons(work)
    assert work["rule"] == "batch work belongs in containers" and "measured here" in reasons(work)
    for executor in ("process", "container"):
        assert work[executor]["frames"] > 20 and work[executor]["processing_ns"]["p50"] > 4e6
        assert work[executor]["memory_peak_bytes"] > 100 << 20
    assert work["limits"]["memory_bytes"] >= 1.5 * max(work["process"]["memory_peak_bytes"], work["container"]["memory_peak_bytes"])


@needs_engine
def test_captions_gets_advice_to_follow_and_its_files_stay(bench: Bench) -> None:
    srt = bench.folder / "captions.srt"
    srt.write_text("precious")
    advice = advise(EXAMPLES / "captions" / "pipeline.yaml", "--set", f"input={speech()}", "--set", f"output={srt}", "--seconds", "2", *recogniser_needs())
    by = advice["by"]
    assert by["speech"]["advice"] == "container" and "Python 3.9" in reasons(by["speech"])
    assert by["speech"]["process"]["frames"] > 0 and by["speech"]["container"]["frames"] > 0
    assert by["source"]["advice"] == "process" and by["captions"]["advice"] == "thread"
    if recogniser_needs():  # the stand-in for AVX-512 is a file of the host's
        assert by["recognise"]["advice"] == "process" and "SIGILL" in reasons(by["recognise"]) and "LD_PRELOAD" in reasons(by["recognise"])
    assert {"Python", "numpy"} <= {conflict["what"] for conflict in advice["conflicts"]}
    assert srt.read_text() == "precious"


@needs_engine
def test_faces_stays_in_its_container_for_its_debian_packages(bench: Bench) -> None:
    source, out = bench.folder / "people.mp4", bench.folder / "faces.mp4"
    make_video_with_faces(source)
    before = source.read_bytes()
    detect = advise(EXAMPLES / "faces" / "pipeline.yaml", "--set", f"input={source}", "--set", f"output={out}", "--seconds", "2")["by"]["detect"]
    assert detect["advice"] == "container" and "libgl1" in reasons(detect)
    assert detect["process"]["start_ms"] > 0 and detect["container"]["start_ms"] > 0
    assert source.read_bytes() == before and not out.exists()


BLOCK = """# my pipeline
version: 1
nodes:
  source: {node: test/source, params: {count: 20, type: bytes}}   # ticks
  work:
    # the work
    node: nodes.py:Copy
    executor: container   # for now
  sink:
    node: test/sink
edges: [source -> work -> sink]
"""
FLOW = """version: 1   # flow
nodes: {source: {node: test/source, params: {count: 20, type: bytes}}, work: {executor: "container", node: 'nodes.py:Copy'},
        sink: {node: test/sink}}
edges: ["source -> work -> sink"]
"""
JSON = """{
  "version": 1,
  "nodes": {
    "source": {"node": "test/source", "params": {"count": 20, "type": "bytes"}},
    "work": {
      "executor": "container",
      "node": "nodes.py:Copy"
    },
    "sink": {"node": "test/sink"}
  },
  "edges": ["source -> work -> sink"]
}
"""


@needs_engine
@pytest.mark.parametrize("text", [BLOCK, FLOW, JSON], ids=["block", "flow", "json"])
def test_write_changes_the_executor_and_no_other_byte(bench: Bench, text: str) -> None:
    bench.nodes(NODES)
    pipeline = bench.folder / "pipeline.yaml"
    pipeline.write_text(text)
    pipeline.chmod(0o640)
    done = hawse("advise", pipeline, "--write", "--quiet", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert pipeline.read_text() == text.replace("container", "process")
    assert pipeline.stat().st_mode & 0o777 == 0o640
    [before] = [line for line in text.splitlines() if "container" in line]
    assert f"- {before}" in done.stdout and "+ " + before.replace("container", "process") in done.stdout
    assert hawse("check", pipeline).returncode == 0


@needs_engine
def test_write_gives_a_container_its_memory_limit(bench: Bench) -> None:
    bench.nodes(NODES)
    text = "version: 1\nnodes:\n  source: {node: test/source, params: {count: 0, type: bytes}}\n  work:\n    node: nodes.py:Slow   # slow\n  sink: {node: test/sink}\nedges: [source -> work -> sink]\n"
    pipeline = bench.write(text)
    advice = advise(pipeline, "--write", "--seconds", "1")
    [change] = advice["manifest"]
    assert change["executor"] == "container"
    assert pipeline.read_text() == text.replace("# slow\n", f"# slow\n    executor: container\n    limits: {{memory: {change['memory']}}}\n")
    assert [line["line"] for line in advice["written"]] == [6, 7]


@needs_engine
def test_write_refuses_what_it_cannot_change_safely_and_says_what_to_write(bench: Bench) -> None:
    bench.nodes(NODES)
    text = BLOCK.replace("nodes:\n", "variables: {where: container}\nnodes:\n").replace("executor: container ", 'executor: "${where}" ')
    pipeline = bench.folder / "pipeline.yaml"
    pipeline.write_text(text)
    done = hawse("advise", pipeline, "--write", "--quiet", "--seconds", "1")
    assert done.returncode == 3
    assert "line 9, node 'work': a variable decides it" in done.stderr and "write by hand: executor: process" in done.stderr
    assert pipeline.read_text() == text


def test_without_an_engine_there_is_advice_with_the_reason_and_nothing_is_written(bench: Bench) -> None:
    bench.nodes(NODES)
    pipeline = bench.write(chain(executor="container"))
    before = pipeline.read_text()
    advice = advise(pipeline, "--write", "--seconds", "1", env=NO_ENGINE)
    work = advice["by"]["work"]
    assert advice["no_engine"] and work["advice"] == "process" and not work["firm"]
    assert work["process"]["frames"] == 2 * 20 and "no engine answers here" in reasons(work)
    assert pipeline.read_text() == before


def test_what_sinks_write_goes_elsewhere_and_what_was_there_stays(bench: Bench) -> None:
    bench.nodes(NODES)
    lines, kept = bench.folder / "lines.jsonl", bench.folder / "kept.bin"
    kept.write_bytes(b"precious")
    manifest = chain()
    manifest["nodes"] |= {"lines": {"node": "json/lines", "params": {"path": str(lines)}}, "keep": {"node": "nodes.py:Keep", "params": {"path": str(kept)}},
                          "print": {"node": "json/lines"}}
    manifest["edges"] += ["work -> lines", "work -> keep", "work -> print"]
    pipeline = bench.write(manifest)
    there = sorted(bench.folder.iterdir())
    advice = advise(pipeline, "--seconds", "1", env=NO_ENGINE)  # json.loads: what `print` prints must not reach standard output
    assert advice["by"]["keep"]["process"]["frames"] == 2 * 20
    assert {one["from"] for one in advice["redirected"]} == {str(lines), str(kept)} and advice["changed"] == []
    assert kept.read_bytes() == b"precious" and sorted(bench.folder.iterdir()) == there


def test_only_the_nodes_that_are_named_are_measured(bench: Bench) -> None:
    bench.nodes(NODES)
    assert list(advise(bench.write(chain()), "--node", "work", "--seconds", "1", env=NO_ENGINE)["by"]) == ["work"]
    done = hawse("advise", bench.pipeline, "--node", "wrok")
    assert done.returncode == 2 and "did you mean 'work'?" in done.stderr


def test_a_pipeline_that_an_application_feeds_is_refused(bench: Bench) -> None:
    bench.nodes(NODES)
    manifest = chain()
    manifest["inputs"] = {"more": "sink"}
    done = hawse("advise", bench.write(manifest))
    assert done.returncode == 2 and "inputs or outputs for an application" in done.stderr


def test_a_pipeline_that_cannot_run_is_told_with_its_node(bench: Bench) -> None:
    bench.nodes(NODES)
    manifest = chain()
    manifest["nodes"]["source"] = {"node": "media/source", "params": {"uri": "missing.wav"}}
    manifest["edges"] = ["source.audio -> sink", "work -> sink"]
    manifest["nodes"]["work"] = {"node": "test/source", "params": {"count": 1}}
    manifest["nodes"]["mine"] = {"node": "nodes.py:Copy"}
    manifest["edges"] += ["work -> mine -> sink"]
    manifest["nodes"]["work"]["params"]["type"] = "bytes"
    done = hawse("advise", bench.write(manifest), "--seconds", "1", env=NO_ENGINE)
    assert done.returncode == 5 and "source" in done.stderr and "missing.wav" in done.stderr


@pytest.mark.skipif(not ENGINE, reason="no container engine answers on this machine: the table has only one side")
def test_the_table_and_the_reasons_are_on_standard_output(bench: Bench) -> None:
    bench.nodes(NODES)
    done = hawse("advise", bench.write(chain(executor="container")), "--seconds", "1")
    assert done.returncode == 0
    assert "work    container  process" in done.stdout and "For the manifest, under nodes:" in done.stdout
    assert "  work:\n    executor: process\n" in done.stdout
    assert "as processes" in done.stderr and "in containers" in done.stderr


def test_ctrl_c_ends_it_without_advice(bench: Bench) -> None:
    bench.nodes(NODES)
    pipeline = bench.write(chain("nodes.py:Slow", count=0, executor="container"))
    before = pipeline.read_text()
    process = subprocess.Popen([HAWSE, "advise", str(pipeline), "--write", "--seconds", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=NO_ENGINE, cwd=ROOT)
    assert process.stderr is not None
    assert "as processes" in process.stderr.readline()
    time.sleep(1)  # into the run
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "interrupted" in err
    assert pipeline.read_text() == before
