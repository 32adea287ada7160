# SPDX-License-Identifier: Apache-2.0
"""Runs in a folder of their own, and the commands that see them: for tests of commands against running sessions."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
import typing

import pytest
from harness import HAWSE, WATCHDOG_S, Bench, Run, json_lines


class Sight:
    """Runs in a folder of their own, and the commands that see them."""

    def __init__(self, bench: Bench, run_dir: pathlib.Path) -> None:
        self.bench = bench
        self.run_dir = run_dir
        self.env = {**os.environ, "HAWSE_RUN": str(run_dir)}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, nodes: dict[str, typing.Any], edges: list[str], *arguments: str, running: bool = True, **more: typing.Any) -> subprocess.Popen[str]:
        self.bench.write({"nodes": nodes, "edges": edges, **more})
        process = self.bench.start(*arguments, env=self.env)
        self.started.append(process)
        if running:
            self.wait_until(lambda: any(s["pid"] == process.pid and s["state"] == "running" for s in self.ps()), process)
        return process

    def wait_until(self, true: typing.Callable[[], typing.Any], process: subprocess.Popen[str] | None = None) -> typing.Any:
        end = time.monotonic() + WATCHDOG_S
        while not (value := true()):
            if process is not None and process.poll() is not None:
                pytest.fail(f"the run has ended: {process.communicate()}")
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)
        return value

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([HAWSE, *arguments], env=self.env, capture_output=True, text=True, timeout=WATCHDOG_S)

    def ok(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def ps(self) -> list[dict[str, typing.Any]]:
        return json.loads(self.ok("ps", "--json"))

    def logs(self, *arguments: str) -> list[dict[str, typing.Any]]:
        return json_lines(self.ok("logs", "--json", *arguments))

    def top(self) -> tuple[dict[str, typing.Any], dict[str, typing.Any]]:
        seen = json.loads(self.ok("top", "--once", "--json", "--interval", "200ms"))
        return {node["node"]: node for node in seen["node_list"]}, {f"{edge['from']} -> {edge['to']}": edge for edge in seen["edge_list"]}

    def stop(self, process: subprocess.Popen[str]) -> Run:
        """Ends it, and what it said."""
        self.ok("stop", next(s["id"] for s in self.ps() if s["pid"] == process.pid))
        return self.bench.finish(process)

    def close(self) -> None:
        """Kills what still runs; nothing of it stays in the folder."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        end = time.monotonic() + 10  # the guard of a killed one takes a moment
        while left := list(self.run_dir.glob("*")):
            assert time.monotonic() < end, f"left behind: {left}"
            time.sleep(0.05)
