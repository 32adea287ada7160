# SPDX-License-Identifier: Apache-2.0
"""The examples, as they stand, on real input: a human voice, a video with faces, two versions of one package, a node that eats memory."""
from __future__ import annotations

import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from harness import ENGINE, ROOT, Bench, Run, needs_engine

EXAMPLES = ROOT / "examples"
SHIM = ROOT / "build" / "lib" / "hawse" / "avx512_shim.so"


def speech() -> pathlib.Path:
    return pathlib.Path(subprocess.run([ROOT / "tools" / "sample_speech"], check=True, capture_output=True, text=True).stdout.strip())


@functools.lru_cache
def recogniser_needs() -> list[str]:
    """moonshine-cpp's wheel is built for AVX-512; where the CPU has none, its few instructions are emulated (tools/avx512)."""
    return [] if "avx512vl" in pathlib.Path("/proc/cpuinfo").read_text() else ["--env", f"recognise=LD_PRELOAD={SHIM}"]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower().replace("\u2019", "'"))


def word_error_rate(said: list[str], read: list[str]) -> float:
    row = list(range(len(said) + 1))
    for i, expected in enumerate(read, 1):
        previous, row[0] = row[0], i
        for j, word in enumerate(said, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != expected))
    return row[-1] / len(read)


def test_the_word_error_rate_counts_substitutions_insertions_and_deletions() -> None:
    assert word_error_rate("a b c d".split(), "a b c d".split()) == 0
    assert word_error_rate("a x c".split(), "a b c d".split()) == 0.5
    assert word_error_rate("a b b c d".split(), "a b c d".split()) == 0.25


def captions(bench: Bench, *arguments: str) -> tuple[str, Run]:
    srt = bench.folder / "captions.srt"
    run = bench.run_ok("--set", f"input={speech()}", "--set", f"output={srt}", *recogniser_needs(), *arguments, pipeline=EXAMPLES / "captions" / "pipeline.yaml")
    for edge in run.summary["edges"]:
        assert edge["copies"] == 0 and edge["dropped"] == 0, edge
    return srt.read_text(), run


@pytest.fixture(scope="module")
def as_processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    """The captions with every node a process: made once, what the others compare with."""
    return captions(Bench(tmp_path_factory.mktemp("captions")), "--executor", "process")


def test_captions_are_right_and_the_same_in_processes_and_containers(bench: Bench, as_processes: tuple[str, Run]) -> None:
    srt, run = as_processes
    read = words((ROOT / "tests" / "data" / "two_cities.txt").read_text().replace("\u2014", " "))
    said = words(re.sub(r"^\d+\n[\d:,]+ --> [\d:,]+$", "", srt, flags=re.MULTILINE))
    rate = word_error_rate(said, read)
    print(f"word error rate: {rate:.1%} of {len(read)} words")
    assert rate <= 0.10
    assert run.node("speech")["where"].startswith("process")
    if not ENGINE:
        pytest.skip("no container engine answers on this machine: compared with nothing")
    as_written, run = captions(bench)
    assert run.node("speech")["where"].startswith("container") and run.node("speech")["language"].startswith("python 3.9")
    assert run.node("recognise")["where"].startswith("process")
    assert as_written == srt


@needs_engine
def test_captions_with_every_node_of_the_users_in_a_container(bench: Bench, as_processes: tuple[str, Run]) -> None:
    arguments = ["--executor", "container"]
    pipeline = EXAMPLES / "captions" / "pipeline.yaml"
    if recogniser_needs():  # the emulation is a file of the host's: the container gets it by a mount, in a copy of the manifest
        text = pipeline.read_text()
        opened = text.replace("    executor: process\n", f"    executor: process\n    container: {{mounts: ['{SHIM}:/opt/avx512_shim.so'], packages: [moonshine-cpp==0.1.4, numpy]}}\n")
        assert opened != text
        pipeline = bench.write(opened)
        shutil.copy(EXAMPLES / "captions" / "nodes.py", bench.folder)
        arguments += ["--env", "recognise=LD_PRELOAD=/opt/avx512_shim.so"]
    srt = bench.folder / "all.srt"
    run = bench.run_ok("--set", f"input={speech()}", "--set", f"output={srt}", *arguments, pipeline=pipeline)
    assert run.node("speech")["where"].startswith("container") and run.node("recognise")["where"].startswith("container")
    assert all(edge["copies"] == edge["dropped"] == 0 for edge in run.summary["edges"])
    assert srt.read_text() == as_processes[0]


def cues(srt: str) -> list[tuple[str, str]]:
    """(times, text) of each caption, without its number."""
    return [(lines[1], " ".join(lines[2:])) for block in srt.strip().split("\n\n") if len(lines := block.splitlines()) > 2]


def test_an_utterance_that_kills_the_recogniser_is_set_aside_and_all_other_captions_come(bench: Bench, as_processes: tuple[str, Run]) -> None:
    """With shortest_ms: 0 the recogniser gets utterances of a few milliseconds, on which it aborts its whole process."""
    whole = cues(as_processes[0])
    text = (EXAMPLES / "captions" / "pipeline.yaml").read_text()
    opened = text.replace("    executor: process\n", "    executor: process\n    params: {shortest_ms: 0}\n    restart: {on: failure, backoff: 0}\n")
    assert opened != text
    shutil.copy(EXAMPLES / "captions" / "nodes.py", bench.folder)
    srt = bench.folder / "all.srt"
    run = bench.run_ok("--set", f"input={speech()}", "--set", f"output={srt}", "--executor", "process", *recogniser_needs(), pipeline=bench.write(opened))
    aside = run.of("set_aside", "recognise")
    assert aside and all(a["deaths"] == 3 and a["edge"] == "speech.out -> recognise.audio" for a in aside)
    assert run.edge("speech", "recognise")["set_aside"] == len(aside)
    assert set(whole) <= set(cues(srt.read_text()))


def make_video_with_faces(path: pathlib.Path) -> int:
    """A 1080p video in which a human face moves; gives its number of frames."""
    return int(subprocess.run([ROOT / "tools" / "sample_faces", path], capture_output=True, text=True, check=True).stdout)


@needs_engine
def test_faces_are_found_in_a_1080p_video(bench: Bench) -> None:
    source, out = bench.folder / "people.mp4", bench.folder / "faces.mp4"
    frames = make_video_with_faces(source)
    run = bench.run_ok("--set", f"input={source}", "--set", f"output={out}", pipeline=EXAMPLES / "faces" / "pipeline.yaml")
    assert run.edge("source", "detect")["received"] == frames and run.edge("detect", "sink")["received"] == frames
    assert run.edge("source", "detect")["copies"] == run.edge("detect", "sink")["copies"] == 0
    probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0", out],
                           capture_output=True, text=True, check=True)
    assert probe.stdout.strip() == f"1920,1080,{frames}"
    assert green_box_pixels(out) > 500, "a box was drawn around a face"


def green_box_pixels(path: pathlib.Path) -> int:
    """Pixels of pure green in the middle frame: the source has none."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", "select=eq(n\\,5)", "-vframes", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return sum(1 for i in range(0, len(raw), 3) if raw[i] < 90 and raw[i + 1] > 180 and raw[i + 2] < 90)


@needs_engine
def test_conflict_runs_two_pythons_and_two_numpys_side_by_side(bench: Bench) -> None:
    process = subprocess.run([os.environ.get("HAWSE", ROOT / "build" / "hawse"), "run", "--quiet", EXAMPLES / "conflict" / "pipeline.yaml"], capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert len(lines) == 20
    old = [re.fullmatch(r"old: python 3\.9\.\d+, numpy 1\.26\.4, sum (\d+)", line) for line in lines]
    new = [re.fullmatch(r"new: python 3\.13\.\d+, numpy 2\.\d+\.\d+, sum (\d+)", line) for line in lines]
    assert sum(m is not None for m in old) == sum(m is not None for m in new) == 10
    assert {m[1] for m in old if m} == {m[1] for m in new if m}, "both saw the same frames"


@needs_engine
def test_runaway_meets_its_limit_and_nothing_else_suffers(bench: Bench) -> None:
    run = bench.run(pipeline=EXAMPLES / "runaway" / "pipeline.yaml")
    assert run.code == 5
    failures = run.of("failure", "leak")
    assert len(failures) == 2 and [f["attempt"] for f in failures] == [1, 2]
    for failure in failures:
        assert failure["text"].startswith("met its memory limit: 128 MiB, peak ")
    assert run.edge("ticks", "fine")["received"] == 1000 and run.edge("fine", "print")["received"] == 1000
    assert run.node("leak")["state"] == "failed" and run.node("fine")["state"] == "ended"
