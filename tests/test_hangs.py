# SPDX-License-Identifier: Apache-2.0
"""Hanging told from slow: hang_timeout ends a node that is busy and shows no sign of life, and no other."""
from __future__ import annotations

import subprocess

import pytest
from harness import CONTROL_GROUPS, EXECUTORS, Bench, Run, needs_engine
from sight import Sight

AGAIN = {"on": "failure", "attempts": 5, "backoff": 0}
COLLECT = """
    class Collect(hawse.Node):
        def process(self, text: hawse.Text) -> None:
            print(text.text)
"""


def source(count: int = 12) -> dict[str, object]:
    return {"node": "test/source", "params": {"count": count, "shape": [16]}}


def works(bench: Bench, executor: str, how: str, hang_timeout: str = "500ms", restart: object = AGAIN, **more: object) -> None:
    """source -> works -> collect, where `works` does `how` before it passes a frame's number on."""
    bench.nodes(f"""
        import os, subprocess, time
        class Works(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                first = not tensor.given_again
                {how}
                yield hawse.Text(str(tensor.sequence))
    """)
    with open(bench.folder / "nodes.py", "a") as nodes:
        nodes.write("\n".join(line[4:] for line in COLLECT.splitlines()) + "\n")
    bench.write({"nodes": {"source": source(), "works": {"node": "nodes.py:Works", "executor": executor, "hang_timeout": hang_timeout, "restart": restart, **more},
                           "collect": {"node": "nodes.py:Collect"}}, "edges": ["source -> works -> collect"]})


def numbers(run: Run) -> list[int]:
    return sorted({int(line) for line in run.log("collect")})


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("how", "words"), [("time.sleep(1000)", "it sleeps or waits"), ("sum(range(10 ** 13))", "it spins, or is slow")], ids=["asleep", "holding the GIL"])
def test_a_node_that_hangs_is_ended_says_where_it_stands_and_is_started_again(bench: Bench, executor: str, how: str, words: str) -> None:
    works(bench, executor, f"if tensor.sequence == 7 and first: {how}")
    run = bench.run_ok()
    assert numbers(run) == list(range(1, 13))
    failures = run.of("failure", "works")
    failure = next(each for each in failures if each["frame"]["sequence"] == 7)
    assert failure["kind"] == "hang" and failure["restarting"] and "attempt" in failure
    assert failure["text"].startswith("hangs: ") and " on frame 7 of source.out" in failure["text"]
    if executor == "process" or CONTROL_GROUPS:
        assert " on frame 7 of source.out, using " in failure["text"] and failure["text"].endswith(words)
    assert "nodes.py" in failure["hint"] and "in process" in failure["hint"]
    assert any(line.startswith("Current thread") for line in run.log("works"))


@needs_engine
@pytest.mark.parametrize("python", ["3.9", "3.13"])
def test_where_a_node_hangs_is_told_by_the_oldest_and_the_newest_python(bench: Bench, python: str) -> None:
    works(bench, "container", "if tensor.sequence == 7 and first: time.sleep(1000)", container={"python": python})
    run = bench.run_ok()
    assert numbers(run) == list(range(1, 13))
    (failure,) = run.of("failure", "works")
    assert failure["kind"] == "hang" and "nodes.py" in failure["hint"] and "in process" in failure["hint"]


def test_a_frame_on_which_its_node_hangs_again_and_again_is_set_aside(bench: Bench) -> None:
    works(bench, "process", "if tensor.sequence == 7: time.sleep(1000)", "200ms")
    run = bench.run_ok()
    assert numbers(run) == [n for n in range(1, 13) if n != 7]
    (aside,) = run.of("set_aside", "works")
    assert aside["sequence"] == 7 and "hangs" in aside["text"]


def test_everything_that_a_hanging_node_has_started_ends_with_it(bench: Bench) -> None:
    works(bench, "process", "if tensor.sequence == 7: subprocess.Popen(['sleep', '31337.25']).wait()", restart={"on": "never"})
    run = bench.run()
    assert run.code == 5 and numbers(run) == list(range(1, 7))
    (failure,) = run.of("failure")
    assert failure["kind"] == "hang" and not failure["restarting"]
    assert not subprocess.run(["pgrep", "-fx", "sleep 31337.25"], capture_output=True).stdout


def test_a_node_that_ignores_the_question_is_killed(bench: Bench) -> None:
    works(bench, "process", "if tensor.sequence == 7: import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT]); time.sleep(1000)", restart={"on": "never"})
    run = bench.run()
    assert run.code == 5 and [each["kind"] for each in run.of("failure")] == ["hang"]


@pytest.mark.parametrize("sign", ["self.alive()", "self.progress('thinking', n, 40)", "yield hawse.Text('0')"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_slow_node_that_shows_signs_of_life_is_left_alone(bench: Bench, executor: str, sign: str) -> None:
    works(bench, executor, f"for n in range(60 if tensor.sequence == 7 else 0): time.sleep(0.05); {sign}", "1s")
    run = bench.run_ok()
    assert run.of("failure") == [] and run.node("works")["restarts"] == 0
    assert [n for n in numbers(run) if n] == list(range(1, 13))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_who_waits_for_a_peer_does_not_hang(bench: Bench, executor: str) -> None:
    bench.nodes("""
        import time
        class Numbers(hawse.Node):
            def produce(self) -> hawse.Text:
                for n in range(1, 7):
                    if n == 6:
                        time.sleep(2)
                    yield hawse.Text(str(n))
        class Pass(hawse.Node):
            def process(self, text: hawse.Text) -> hawse.Text:
                return hawse.Text(text.text)
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                if text.text == "1":
                    time.sleep(2)
                print(text.text)
    """)
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers"}, "pass": {"node": "nodes.py:Pass", "executor": executor, "hang_timeout": "400ms"},
                           "collect": {"node": "nodes.py:Collect"}}, "edges": ["numbers -> pass", {"from": "pass", "to": "collect", "queue": 1}]})
    run = bench.run_ok()
    assert run.of("failure") == [] and numbers(run) == list(range(1, 7))


@pytest.mark.parametrize(("method", "words"), [("produce", "in produce()"), ("finish", "with no frame in hand"), ("close", "with no frame in hand")])
def test_a_hang_without_a_frame_is_told_too(bench: Bench, method: str, words: str) -> None:
    bench.nodes(f"""
        import time
        class Numbers(hawse.Node):
            def produce(self) -> hawse.Text:
                for n in range(3):
                    yield hawse.Text(str(n))
                if {method == 'produce'}:
                    time.sleep(1000)
        class Collect(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print(text.text)
            def {method if method != 'produce' else 'close'}(self) -> None:
                if {method != 'produce'}:
                    time.sleep(1000)
    """)
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers", "hang_timeout": "300ms"}, "collect": {"node": "nodes.py:Collect", "hang_timeout": "300ms"}},
                 "edges": ["numbers -> collect"]})
    run = bench.run()
    assert run.code == 5
    (failure,) = run.of("failure")
    assert failure["kind"] == "hang" and words in failure["text"] and "frame" not in failure


def test_how_long_a_node_has_been_at_its_frame_is_shown(sight: Sight) -> None:
    gate = sight.bench.folder / "gate"
    sight.bench.nodes(f"""
        import os, time
        class Slow(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                while not os.path.exists("{gate}"):
                    time.sleep(0.01)
    """)
    process = sight.start({"source": source(1), "slow": {"node": "nodes.py:Slow"}}, ["source -> slow"])
    node = sight.wait_until(lambda: (lambda nodes: nodes["slow"] if "busy_ns" in nodes["slow"] else None)(sight.top()[0]), process)
    assert node["busy_ns"] >= 1e9 and node["busy_with"] == "on frame 1 of source.out"
    assert "busy_ns" not in sight.top()[0]["source"], "it waits for its reader's end"
    assert "running, busy" in sight.ok("top", "--once")
    assert "on frame 1 of source.out" in sight.ok("inspect", "", "slow")
    (session,) = sight.ps()
    assert session["busy"]["node"] == "slow" and "slow" in sight.ok("ps").splitlines()[1]
    gate.touch()
    assert sight.bench.finish(process).code == 0
