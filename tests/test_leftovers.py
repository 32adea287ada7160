# SPDX-License-Identifier: Apache-2.0
"""However a run ends, no process, container, memfd, socket, control group or file of it is left (conftest counts them after every test)."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from harness import ENGINE, Bench, Run, assert_nothing_left, left_behind

NODES = """
    import time
    class Slow(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            time.sleep(0.02)
            return self.output.like(tensor)
    class Stuck(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            time.sleep(1000)
    class Spawns(hawse.Node):
        def setup(self) -> None:
            import subprocess
            self.child = subprocess.Popen(["sleep", "31337.5"])
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            time.sleep(0.02)
            return self.output.like(tensor)
"""


def start_endless(bench: Bench, node: str = "Slow", grace: str = "5s") -> "subprocess.Popen[str]":
    bench.nodes(NODES)
    nodes = {"source": {"node": "test/source", "params": {"rate_hz": 100, "shape": [1000]}}, "process": {"node": f"nodes.py:{node}", "executor": "process"},
             "sink": {"node": "test/sink"}}
    edges = ["source -> process -> sink"]
    if ENGINE:
        nodes["container"] = {"node": f"nodes.py:{node}", "executor": "container"}
        edges.append("source -> container -> sink")
    bench.write({"grace": grace, "nodes": nodes, "edges": edges})
    return bench.start()


def wait_until_running(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        event = json.loads(line)
        if event["event"] == "session" and event["state"] == "running":
            time.sleep(0.3)
            return lines
    pytest.fail(f"it never ran: {lines} {process.stderr.read() if process.stderr else ''}")


def finish(bench: Bench, process: "subprocess.Popen[str]") -> Run:
    return bench.finish(process)


def test_ctrl_c_ends_a_run_in_order(bench: Bench) -> None:
    process = start_endless(bench)
    wait_until_running(process)
    process.send_signal(signal.SIGINT)
    run = finish(bench, process)
    assert run.code == 130
    assert all(node["state"] == "ended" for node in run.summary["nodes"]), run.summary["nodes"]
    for edge in run.summary["edges"]:
        assert edge["frames"] == edge["received"], "what had been sent was still handled"


def test_a_second_ctrl_c_ends_it_at_once(bench: Bench) -> None:
    process = start_endless(bench, "Stuck", grace="60s")
    wait_until_running(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None, "the grace period runs"
    process.send_signal(signal.SIGINT)
    assert finish(bench, process).code == 130


def test_a_node_that_does_not_end_is_killed_after_the_grace_period(bench: Bench) -> None:
    process = start_endless(bench, "Stuck", grace="500ms")
    wait_until_running(process)
    process.send_signal(signal.SIGTERM)
    run = finish(bench, process)
    assert run.code == 130
    assert any("grace period" in e["text"] for e in run.of("notice"))


def test_ctrl_c_while_it_starts_ends_it_too(bench: Bench) -> None:
    process = start_endless(bench)
    assert process.stdout is not None and '"starting"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert finish(bench, process).code == 130


def test_ctrl_c_while_packages_are_installed_ends_the_installer(bench: Bench, tmp_path: pathlib.Path) -> None:
    installer = tmp_path / "uv"  # stands still where the real one waits for a network
    installer.write_text("#!/bin/sh\nsleep 31337.5\n")
    installer.chmod(0o755)
    bench.nodes(NODES)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}},
                           "slow": {"node": "nodes.py:Slow", "python": {"packages": ["six==1.15.0"]}}, "sink": {"node": "test/sink"}}, "edges": ["source -> slow -> sink"]})
    state = tmp_path / "state"
    process = bench.start(env={**os.environ, "HAWSE_UV": str(installer), "HAWSE_STATE": str(state)})
    while not subprocess.run(["pgrep", "-fx", "sleep 31337.5"], capture_output=True).stdout:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert finish(bench, process).code == 130
    assert not subprocess.run(["pgrep", "-fx", "sleep 31337.5"], capture_output=True).stdout
    assert [str(p) for p in state.rglob("*") if "tmp/" in str(p.relative_to(state))] == []


@pytest.mark.parametrize("node", ["Slow", "Stuck", "Spawns"])
def test_a_killed_runtime_leaves_nothing(bench: Bench, node: str) -> None:
    process = start_endless(bench, node)
    wait_until_running(process)
    held = left_behind()
    assert len(held["processes"]) >= 3 and held["memfds"], "there was something to leave behind"
    process.kill()
    process.wait()
    begin = time.monotonic()
    assert_nothing_left(within_s=20)
    print(f"everything of a killed runtime was gone after {time.monotonic() - begin:.2f} s")
    orphans = subprocess.run(["pgrep", "-fx", "sleep 31337.5"], capture_output=True, text=True).stdout.split()
    assert not orphans


def test_a_runtime_killed_together_with_its_guard_is_cleared_up_by_the_next_run(bench: Bench) -> None:
    process = start_endless(bench)
    wait_until_running(process)
    guards = [int(line.split()[0]) for line in left_behind()["processes"] if "hawse-guard" in line]
    assert len(guards) == 1
    os.kill(guards[0], signal.SIGKILL)
    process.kill()
    process.wait()
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}},
                           "slow": {"node": "nodes.py:Slow", "executor": "container" if ENGINE else "process"}, "sink": {"node": "test/sink"}},
                 "edges": ["source -> slow -> sink"]})
    bench.run_ok()
