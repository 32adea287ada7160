# SPDX-License-Identifier: Apache-2.0
"""The engine is killed, stopped, restarted and hung, for real, while nodes run in it and beside it."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import typing

import pytest
from harness import ENGINE, HAWSE, WATCHDOG_S, Bench, Run, hawse
from private_engine import PrivateEngine, Watched, children, processes, wait_until

pytestmark = pytest.mark.skipif(not ENGINE or os.geteuid() != 0 or shutil.which("dockerd") is None, reason="an engine of its own takes root and dockerd")
AGAIN = {"on": "failure", "attempts": 5, "backoff": 0}
NODES = """
    import os, time
    class Numbers(hawse.Node):
        def setup(self, until: str) -> None:
            self.until, self.n = until, 0
        def produce(self) -> hawse.Text:
            time.sleep(0.01)
            self.n += 1
            if os.path.exists(self.until):
                raise hawse.EndOfStream
            return hawse.Text(str(self.n))
    class Pass(hawse.Node):
        def process(self, text: hawse.Text) -> hawse.Text:
            if text.text == "die" and not text.given_again:
                os._exit(3)
            return hawse.Text(text.text)
    class Collect(hawse.Node):
        def process(self, text: hawse.Text) -> None:
            print(text.text)
    class Tensors(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            return self.output.like(tensor)
"""


@pytest.fixture(scope="module")
def engine() -> typing.Iterator[PrivateEngine]:
    made = PrivateEngine()
    try:
        made.start()
        image = "hawse/python:%d.%d" % sys.version_info[:2]
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0:
            made.load(image)
        else:
            base = hawse("image", "base", "--python", "%d.%d" % sys.version_info[:2], env=made.env)
            assert base.returncode == 0, base.stdout + base.stderr
        yield made
    finally:
        made.remove()


@pytest.fixture(autouse=True)
def engine_answers(engine: PrivateEngine) -> typing.Iterator[None]:
    engine.start()
    yield
    engine.go_on()
    engine.start()
    for run in Watched.started:
        if run.process.poll() is None:  # the test has failed
            run.process.kill()
    Watched.started.clear()
    assert engine.containers() == [], "left behind"


def start(bench: Bench, engine: PrivateEngine, restart: dict[str, object] | None = None, nodes: str = NODES, **more: object) -> Watched:
    """Two streams until the file `enough` is there: through a node in a container, and beside it through a process."""
    bench.nodes(nodes)
    until = {"until": str(bench.folder / "enough")}
    boxed = {"node": "nodes.py:Pass", "executor": "container", "restart": restart or {"on": "never"}}
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers", "params": until}, "boxed": boxed, "boxed_out": {"node": "nodes.py:Collect"},
                           "more": {"node": "nodes.py:Numbers", "params": until}, "native": {"node": "nodes.py:Pass"}, "native_out": {"node": "nodes.py:Collect"}},
                 "edges": ["numbers -> boxed -> boxed_out", "more -> native -> native_out"], **more})
    run = Watched(bench, engine.env)
    run.until("log", "boxed_out")
    run.until("log", "native_out")
    return run


def flows(run: Watched, node: str) -> None:
    """What it has printed so far grows."""
    def count() -> int:
        return sum(1 for each in list(run.events) if each["event"] == "log" and each["node"] == node)
    before = count()
    wait_until(lambda: count() > before + 5 or run.process.poll() is not None, f"{node} has stopped")
    assert run.process.poll() is None, run.told()


def enough(bench: Bench) -> None:
    (bench.folder / "enough").touch()


def assert_all_came(run: Run, name: str, at_least_once: bool = False) -> None:
    numbers = [int(line) for line in run.log(f"{name}_out")]
    sent = run.node("numbers" if name == "boxed" else "more")["frames_out"]
    assert (sorted(set(numbers)) if at_least_once else numbers) == list(range(1, sent + 1))


def test_nodes_in_containers_outlive_an_engine_that_is_killed(bench: Bench, engine: PrivateEngine) -> None:
    run = start(bench, engine)
    engine.kill()
    assert "goes on" in run.until("notice", "boxed", text="can't be watched")["text"]
    flows(run, "boxed_out")
    flows(run, "native_out")
    enough(bench)
    done = run.finish()
    assert done.code == 0 and done.of("failure") == []
    assert_all_came(done, "boxed")
    assert_all_came(done, "native")
    assert len([each for each in done.of("notice") if "is left" in each["text"]]) == 1
    engine.start()
    assert len(engine.containers()) == 1
    next_run(bench, engine)


def next_run(bench: Bench, engine: PrivateEngine) -> None:
    """It removes what is left of those before."""
    enough(bench)
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers", "params": {"until": str(bench.folder / "enough")}},
                           "boxed": {"node": "nodes.py:Collect", "executor": "container"}}, "edges": ["numbers -> boxed"]})
    assert Watched(bench, engine.env).finish().code == 0


def test_a_node_that_a_restarted_engine_has_ended_is_started_again(bench: Bench, engine: PrivateEngine) -> None:
    run = start(bench, engine, AGAIN)
    engine.kill()
    run.until("notice", "boxed", text="can't be watched")
    engine.start()  # without live-restore it kills the containers that it finds
    assert run.until("failure", "boxed")["restarting"]
    run.until("node", "boxed", state="running", attempt=2)
    flows(run, "boxed_out")
    enough(bench)
    done = run.finish()
    assert done.code == 0
    assert_all_came(done, "boxed", at_least_once=True)
    assert_all_came(done, "native")


def test_a_node_goes_on_where_the_engine_keeps_its_containers_alive(bench: Bench, engine: PrivateEngine) -> None:
    engine.stop()
    engine.start("--live-restore")
    run = start(bench, engine)
    engine.kill()
    run.until("notice", "boxed", text="can't be watched")
    engine.start("--live-restore")
    run.until("notice", "boxed", text="has kept its container")
    enough(bench)
    done = run.finish()
    assert done.code == 0 and done.of("failure") == []
    assert_all_came(done, "boxed")
    engine.stop()


def test_a_node_waits_for_an_engine_that_was_stopped(bench: Bench, engine: PrivateEngine) -> None:
    run = start(bench, engine, AGAIN)
    engine.stop()
    assert "signal 15" in run.until("failure", "boxed")["text"]
    assert "does not answer" in run.until("notice", "boxed", text="as soon as its engine answers")["text"]
    flows(run, "native_out")
    engine.start()
    run.until("node", "boxed", state="running", attempt=2)
    enough(bench)
    done = run.finish()
    assert done.code == 0 and len(done.of("failure")) == 1, "waiting is no attempt"
    assert_all_came(done, "boxed", at_least_once=True)
    assert_all_came(done, "native")


def test_a_stopped_engine_is_the_end_of_its_nodes_alone(bench: Bench, engine: PrivateEngine) -> None:
    run = start(bench, engine)
    engine.stop()
    failure = run.until("failure", "boxed")
    assert "signal 15" in failure["text"] and "engine" in failure["hint"]
    flows(run, "native_out")
    enough(bench)
    done = run.finish()
    assert done.code == 5 and {each["node"] for each in done.of("failure")} == {"boxed"}
    assert_all_came(done, "native")
    engine.start()
    next_run(bench, engine)


def zygote_in(engine: PrivateEngine) -> int:
    """Process 1's child in the one container there is."""
    (container,) = engine.containers()
    (zygote,) = children(int(engine.docker("inspect", "--format", "{{.State.Pid}}", container).stdout))
    return zygote


def test_a_node_that_dies_while_the_engine_hangs_is_forked_again_without_it(bench: Bench, engine: PrivateEngine) -> None:
    run = start(bench, engine, AGAIN)
    zygote = zygote_in(engine)
    engine.hang()
    (node,) = (child for child in children(zygote) if os.getsid(child) == child)  # a spare is still in the zygote's session
    os.kill(node, signal.SIGKILL)
    assert "signal 9" in run.until("failure", "boxed")["text"]
    run.until("node", "boxed", state="running", attempt=2)
    flows(run, "boxed_out")
    engine.go_on()
    enough(bench)
    done = run.finish()
    assert done.code == 0 and len(done.of("failure")) == 1
    assert_all_came(done, "boxed", at_least_once=True)


# The zygote; and where the module leaves threads running, the zygote that has become the node itself.
@pytest.mark.parametrize("nodes", [NODES, NODES + "    import threading\n    threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\n"], ids=["zygote", "became the node"])
def test_a_node_that_dies_while_the_engine_hangs_is_started_again_when_that_goes_on(bench: Bench, engine: PrivateEngine, nodes: str) -> None:
    run = start(bench, engine, AGAIN, nodes)
    zygote = zygote_in(engine)
    engine.hang()
    os.kill(zygote, signal.SIGKILL)
    assert "signal 9" in run.until("failure", "boxed")["text"]
    run.until("notice", "boxed", text="waits for its engine")
    flows(run, "native_out")
    engine.go_on()
    run.until("node", "boxed", state="running", attempt=2)
    enough(bench)
    done = run.finish()
    assert done.code == 0 and len(done.of("failure")) == 1
    assert_all_came(done, "boxed", at_least_once=True)
    assert_all_came(done, "native")


def three_frames(bench: Bench) -> None:
    bench.nodes(NODES)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 3, "shape": [4]}}, "boxed": {"node": "nodes.py:Tensors", "executor": "container"}, "sink": {"node": "test/sink"}},
                 "edges": ["source -> boxed -> sink"]})


def hang_at_an_init(engine: PrivateEngine, before: set[int], run: subprocess.Popen[typing.Any]) -> None:
    """Stops the engine once a container's first process is up, which mostly is before it has answered the call for its start."""
    while not any(number not in before and command.startswith("/hawse/init") for number, command in processes()):
        assert run.poll() is None
    engine.hang()


def test_a_node_that_is_done_before_its_engine_has_answered_the_start_is_seen(bench: Bench, engine: PrivateEngine) -> None:
    three_frames(bench)
    def runs_until_stopped() -> bool:
        """Whether the engine was stopped between the start of the container's first process and its answer, which takes it some milliseconds."""
        before = {number for number, _ in processes()}
        run = Watched(bench, engine.env)
        hang_at_an_init(engine, before, run.process)
        run.until("node", "boxed", state="finishing")
        in_time = not any(each["event"] == "node" and each["node"] == "boxed" and "where" in each for each in list(run.events))
        engine.go_on()
        done = run.finish()
        assert done.code == 0 and done.of("failure") == [] and done.edge("boxed", "sink")["received"] == 3
        return in_time
    assert any(runs_until_stopped() for _ in range(20))


def test_a_node_that_is_ready_before_its_engine_has_answered_the_start_is_told_with_its_place(bench: Bench, engine: PrivateEngine) -> None:
    """As a person reads it: there is no place to tell when the node is ready, which once ended the command."""
    three_frames(bench)
    def runs_until_stopped() -> bool:
        before = {number for number, _ in processes()}
        with (bench.folder / "told").open("w+") as told:
            run = subprocess.Popen([HAWSE, "run", bench.pipeline], env=engine.env, stderr=told)
            hang_at_an_init(engine, before, run)
            time.sleep(1)  # more than the node needs
            in_time = run.poll() is None and "boxed: ready" not in (bench.folder / "told").read_text()
            engine.go_on()
            assert run.wait(WATCHDOG_S) == 0, (bench.folder / "told").read_text()
        assert "boxed: ready in container" in (bench.folder / "told").read_text()
        return in_time
    assert any(runs_until_stopped() for _ in range(20))


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_a_run_whose_engine_hangs(bench: Bench, engine: PrivateEngine, signals: int) -> None:
    run = start(bench, engine, grace="20s")
    engine.hang()
    for _ in range(signals):
        run.process.send_signal(signal.SIGINT)
        run.until("session", state="stopping")
    done = run.finish()
    assert done.code == 130
    if signals == 1:
        assert_all_came(done, "boxed")
        assert_all_came(done, "native")
    assert any("is left" in each["text"] for each in done.of("notice"))
    engine.go_on()
    next_run(bench, engine)


def test_ctrl_c_ends_a_run_that_prepares_while_the_engine_hangs(bench: Bench, engine: PrivateEngine) -> None:
    bench.nodes(NODES)
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers", "params": {"until": "/never"}}, "boxed": {"node": "nodes.py:Collect", "executor": "container"}},
                 "edges": ["numbers -> boxed"]})
    engine.hang()
    run = Watched(bench, engine.env)
    run.until("session", state="starting")
    run.process.send_signal(signal.SIGINT)
    assert run.finish().code == 130


def test_an_engine_that_does_not_answer_is_an_error_before_anything_starts(bench: Bench, engine: PrivateEngine) -> None:
    bench.nodes(NODES)
    bench.write({"nodes": {"numbers": {"node": "nodes.py:Numbers", "params": {"until": "/never"}}, "boxed": {"node": "nodes.py:Collect", "executor": "container"}},
                 "edges": ["numbers -> boxed"]})
    engine.hang()
    done = Watched(bench, engine.env).finish()
    assert done.code == 6
    (failure,) = done.of("failure")
    assert failure["node"] == "boxed" and "is silent" in failure["text"]
