# SPDX-License-Identifier: Apache-2.0
"""What is promised of frames when nodes die (docs/promises.md), on whole pipelines; the plane's own part is in src/plane/replace_test.cpp."""
from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import time
import typing

import pytest
from harness import EXECUTORS, HAWSE, ROOT, WATCHDOG_S, Bench, Run, hawse

KEEPS_UP = {"on": "failure", "attempts": 3, "backoff": 0}


def source(count: int, **more: object) -> dict[str, object]:
    return {"node": "test/source", "params": {"count": count, "shape": [64], **more}}


def numbers(run: Run, node: str = "collect") -> list[int]:
    return [int(line) for line in run.log(node) if line.isdigit()]


def fragile(bench: Bench, executor: str, how: str, restart: dict[str, object] = KEEPS_UP, count: int = 20, program: dict[str, object] | None = None) -> None:
    """source -> fragile -> collect, where `fragile` does `how` before it passes a frame's number on; with `program` (its parameters) it is C++."""
    bench.nodes(f"""
        import os, signal, time
        class Fragile(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                {how}
                return hawse.Text(str(tensor.sequence))
    """)
    with open(bench.folder / "nodes.py", "a") as nodes:
        nodes.write("class Collect(hawse.Node):\n    def process(self, text: hawse.Text) -> None:\n        print(text.text)\n")
    node: dict[str, object] = {"node": "nodes.py:Fragile"}
    if program is not None:
        node = {"node": shutil.copy(HAWSE.parent / "tests/fragile_program", bench.folder), "params": program}
    bench.write({"nodes": {"source": source(count), "fragile": {**node, "executor": executor, "restart": restart},
                           "collect": {"node": "nodes.py:Collect"}}, "edges": ["source -> fragile -> collect"]})


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("language", ["python", "c++"])
def test_a_frame_that_kills_its_node_again_and_again_is_set_aside_and_the_stream_goes_on(bench: Bench, executor: str, language: str) -> None:
    dies = "if tensor.sequence == 7:\n                    self.log.info('7 of %d', tensor.timestamp_ns)\n                    os.abort()"
    fragile(bench, executor, dies, program={"dies_on": [7]} if language == "c++" else None)
    run = bench.run_ok()
    assert run.node("fragile")["language"].startswith(language)
    assert sorted(set(numbers(run))) == [n for n in range(1, 21) if n != 7]
    (aside,) = run.of("set_aside", "fragile")
    assert (aside["edge"], aside["port"], aside["sequence"], aside["deaths"]) == ("source.out -> fragile.tensor", "tensor", 7, 3)
    assert "signal 6" in aside["text"]
    failures = run.of("failure", "fragile")
    told = [e["text"] for e in run.of("log", "fragile") if e["stream"] == "log"]  # by each of its lives
    assert told == [f"7 of {aside['timestamp_ns']}"] * 3 and {f["frame"]["timestamp_ns"] for f in failures} == {aside["timestamp_ns"]}
    assert [f["frame"]["sequence"] for f in failures] == [7, 7, 7] and all(f["restarting"] for f in failures)
    edge = run.edge("source", "fragile")
    assert edge["set_aside"] == 1 and edge["given_again"] > 0 and edge["dropped"] == 0
    assert run.node("fragile")["restarts"] == 3


@pytest.mark.parametrize("how", ["raise ValueError('no')", "os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)", "c++ aborts", "c++ throws"])
def test_whatever_a_node_dies_of_counts(bench: Bench, how: str) -> None:
    program = {"dies_on": [1, 2, 20], "throws": how == "c++ throws"} if how.startswith("c++") else None
    fragile(bench, "process", f"if tensor.sequence in (1, 2, 20): {how}", {**KEEPS_UP, "attempts": 2, "poison_after": 1, "forget_after": 0}, program=program)
    run = bench.run_ok()
    assert [aside["sequence"] for aside in run.of("set_aside")] == [1, 2, 20]
    assert sorted(set(numbers(run))) == list(range(3, 20))
    assert run.edge("source", "fragile")["set_aside"] == 3


@pytest.mark.parametrize(("kills", "aside", "lost"), [("a300", "a300", "b310"), ("b310", "a300", "b310"), ("b190", "b190", "a200")])
def test_of_a_set_that_kills_the_earliest_frame_is_set_aside_and_the_others_have_no_partner(bench: Bench, kills: str, aside: str, lost: str) -> None:
    bench.nodes(f"""
        import os
        class Times(hawse.Node):
            def setup(self, times: list) -> None:
                self.times = times
            def produce(self) -> hawse.Text:
                for time in self.times:
                    yield hawse.Text(f"{{self.id}}{{time}}", timestamp_ns=time * 1_000_000)
        class Pair(hawse.Node):
            def process(self, a: hawse.Text, b: hawse.Text) -> hawse.Text:
                if "{kills}" in (a.text, b.text):
                    os.abort()
                return hawse.Text(f"{{a.text}}+{{b.text}}")
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
    """)
    def times(*values: int) -> dict[str, object]:
        return {"node": "nodes.py:Times", "params": {"times": values}}
    bench.write({"nodes": {"a": times(100, 200, 300, 400), "b": times(110, 190, 310, 390), "collect": {"node": "nodes.py:Collect"},
                           "pair": {"node": "nodes.py:Pair", "restart": KEEPS_UP, "inputs": {"match": "timestamp", "tolerance": "20ms", "wait": "60s", "hold": 4}}},
                 "edges": ["a -> pair.a", "b -> pair.b", "pair -> collect"]})
    run = bench.run_ok()
    (told,) = run.of("set_aside", "pair")
    assert (told["port"], told["timestamp_ns"]) == (aside[0], int(aside[1:]) * 1_000_000)
    assert list(dict.fromkeys(run.log("collect"))) == [pair for pair in ("a100+b110", "a200+b190", "a300+b310", "a400+b390") if kills not in pair]
    assert run.node("pair")["unmatched"] == {port: int(port == lost[0]) for port in "ab"}


def test_the_run_says_which_frame_was_set_aside_and_why(bench: Bench) -> None:
    fragile(bench, "process", "if tensor.sequence == 7: os.abort()")
    told = hawse("run", bench.pipeline)
    assert told.returncode == 0
    (line,) = [line for line in told.stderr.splitlines() if "is set aside" in line]
    assert re.search(r"fragile: frame 7 of source\.out -> fragile\.tensor \(timestamp [0-9.]+ s\) is set aside, and the stream goes on: 3 deaths on it, the last: "
                     r"fragile was ended by signal 6", line), line
    assert re.search(r"edge .* given_again +set_aside", told.stderr)


def test_a_node_that_dies_of_every_frame_stays_down(bench: Bench) -> None:
    fragile(bench, "process", "raise ValueError('always')")
    run = bench.run()
    assert run.code == 5
    assert [f["attempt"] for f in run.of("failure")] == [1, 2, 3, 1, 2, 3], "one frame may be to blame, the next one as well is too much"
    assert numbers(run) == []


def test_a_node_that_is_never_started_again_says_which_frame_it_had(bench: Bench) -> None:
    fragile(bench, "process", "if tensor.sequence == 7: os.abort()", {"on": "never"})
    run = bench.run()
    assert run.code == 5 and run.of("set_aside") == []
    (failure,) = run.of("failure")
    assert failure["frame"]["sequence"] == 7 and not failure["restarting"]
    assert numbers(run) == list(range(1, 7))


def test_failures_are_forgotten_after_a_while(bench: Bench) -> None:
    dies = "time.sleep(0.05)\n                if tensor.sequence % 8 == 0 and not tensor.given_again: os.abort()"
    fragile(bench, "process", dies, {**KEEPS_UP, "attempts": 2, "forget_after": 0.3}, count=28)
    run = bench.run_ok()
    attempts = [f["attempt"] for f in run.of("failure")]  # frames that wait when it dies are given again, and those don't kill it
    assert len(attempts) >= 2 and set(attempts) == {1}
    fragile(bench, "process", dies, {**KEEPS_UP, "attempts": 2}, count=28)
    run = bench.run()
    assert run.code == 5 and [f["attempt"] for f in run.of("failure")] == [1, 2]


def test_a_replacement_goes_on_numbering(bench: Bench) -> None:
    bench.nodes("""
        import os
        class Counts(hawse.Node):
            def setup(self) -> None:
                self.here = 0
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                self.here += 1
                if self.here == 8:
                    os._exit(1)
                return hawse.Text(str(tensor.sequence))
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.sequence)
    """)
    bench.write({"nodes": {"source": source(40), "counts": {"node": "nodes.py:Counts", "restart": {**KEEPS_UP, "attempts": 20}},
                           "collect": {"node": "nodes.py:Collect"}}, "edges": ["source -> counts -> collect"]})
    run = bench.run_ok()
    got = numbers(run)
    assert run.node("counts")["restarts"] >= 4
    assert got == list(range(1, len(got) + 1)) and len(got) >= 40


def test_a_node_that_has_finished_is_not_started_again(bench: Bench) -> None:
    fragile(bench, "process", "pass")
    with open(bench.folder / "nodes.py", "a") as nodes:
        nodes.write("Fragile.close = lambda self: os._exit(3)\n")
    run = bench.run()
    assert run.code == 5
    (failure,) = run.of("failure")
    assert not failure["restarting"]
    assert numbers(run) == list(range(1, 21))


# ---- both ends of an edge -----------------------------------------------------------------------------------------------------


def both_ends(bench: Bench, poison: int = 0, writer_attempts: int = 20) -> None:
    """source -> writer -> reader. The reader keeps three frames, and at number 20 it waits for its death."""
    bench.nodes(f"""
        import os, time
        def note_pid(name):
            with open(name + ".new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(name + ".new", name + ".pid")
        class Writer(hawse.Node):
            def setup(self) -> None:
                note_pid("{bench.folder}/writer")
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                return hawse.Text(str(tensor.sequence))
        class Reader(hawse.Node):
            def setup(self) -> None:
                note_pid("{bench.folder}/reader")
                self.kept = []
            def process(self, text: hawse.Text) -> None:
                number = int(text.text)
                if number == {poison}:
                    os.abort()
                if number == 20 and not os.path.exists("{bench.folder}/once"):
                    open("{bench.folder}/once", "w").close()
                    time.sleep(60)
                self.kept = [*self.kept, (number, text)][-3:]
                if len(self.kept) == 3:
                    print(self.kept[0][0])
            def finish(self) -> None:
                for number, _ in self.kept:
                    print(number)
    """)
    def node(name: str, attempts: int) -> dict[str, object]:
        return {"node": f"nodes.py:{name}", "restart": {"on": "failure", "attempts": attempts, "backoff": 0}}
    bench.write({"nodes": {"source": source(60), "writer": node("Writer", writer_attempts), "reader": node("Reader", 20)},
                 "edges": ["source -> writer", {"from": "writer", "to": "reader", "queue": 8}]})


def kill_in_order(bench: Bench, names: typing.Sequence[str], pause_s: float) -> Run:
    """Runs it; when the queue before the waiting reader is full, kills these nodes, each in the life that it has then."""
    process = bench.start()
    until = time.monotonic() + WATCHDOG_S
    while not (bench.folder / "once").exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    killed = set()
    for name in names:
        file = bench.folder / f"{name}.pid"
        while (pid := int(file.read_text())) in killed:  # its next life has yet to come
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        time.sleep(pause_s)
    return bench.finish(process)


def test_a_frame_of_a_dead_writer_can_be_set_aside(bench: Bench) -> None:
    both_ends(bench, poison=22)
    run = kill_in_order(bench, ["writer", "reader"], 0.3)
    assert run.code == 0, run.of("failure")
    (aside,) = run.of("set_aside")
    assert aside["sequence"] and aside["edge"] == "writer.out -> reader.text"
    assert sorted(set(numbers(run, "reader"))) == [n for n in range(1, 61) if n != 22]
    assert run.edge("writer", "reader")["set_aside"] == 1


def test_a_writer_that_has_died_for_good_leaves_what_it_sent(bench: Bench) -> None:
    both_ends(bench, writer_attempts=1)
    run = kill_in_order(bench, ["reader", "writer"], 0)
    assert run.code == 5
    got = sorted(set(numbers(run, "reader")))
    assert got == list(range(1, got[-1] + 1)) and got[-1] >= 28, "what it had kept, and a full queue"


def test_a_writer_that_dies_too_often_meanwhile_waits_for_its_reader_and_the_run_says_so(bench: Bench) -> None:
    """64 lives may lie before a reader; the 65th waits until that has come along."""
    lives = 70
    bench.nodes(f"""
        import os, time
        class Writer(hawse.Node):
            def produce(self) -> hawse.Text:
                with open("{bench.folder}/lives", "a") as file:
                    file.write("x")
                life = os.path.getsize("{bench.folder}/lives")
                yield hawse.Text(str(life))
                if life < {lives}:
                    os._exit(1)
        class Reader(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                while not os.path.exists("{bench.folder}/go"):
                    time.sleep(0.01)
                print(text.text)
    """)
    bench.write({"nodes": {"writer": {"node": "nodes.py:Writer", "restart": {"on": "failure", "attempts": 1000, "backoff": 0}}, "reader": {"node": "nodes.py:Reader"}},
                 "edges": ["writer -> reader"]})
    process = bench.start()
    lines: list[str] = []
    at_notice = 0
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        event = json.loads(line)
        if event["event"] == "notice" and event["node"] == "writer":
            at_notice = (bench.folder / "lives").stat().st_size
            (bench.folder / "go").touch()
    run = bench.finish(process)
    run.events = [json.loads(line) for line in lines]
    assert run.code == 0, run.stderr
    assert [notice["text"] for notice in run.of("notice", "writer")] == ["is started again when reader has come along: it has died too often meanwhile"]
    assert at_notice == 65, "the reader has the first one's frame in hand, which counts as well"
    assert numbers(run, "reader") == list(range(1, lives + 1))
    assert len(run.of("failure", "writer")) == run.node("writer")["restarts"] == lives - 1


# ---- the page -----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "least"), [("promises.md", 12), ("failure.md", 20)])
def test_every_test_that_a_page_names_exists(name: str, least: int) -> None:
    page = (ROOT / "docs" / name).read_text()
    named = re.findall(r"`([\w/]+\.(?:py|cpp))::(\w+)`", page)
    assert len(named) >= least
    for file, test in named:
        text = pathlib.Path(ROOT / file).read_text()
        assert re.search(rf"(?:def {test}\(|TEST(?:_P|_F)?\(\w+, {test}\)|RC_GTEST_\w+\(\w+, {test},)", text), f"{file} has no test {test}"
    promises = re.findall(r"^- .*", page, re.MULTILINE) + re.findall(r"^\| [^-].*", page.partition("| fault |")[2], re.MULTILINE)
    assert promises
    for line in promises:
        assert "::" in line, f"no test holds: {line}"
