# SPDX-License-Identifier: Apache-2.0
"""A pipeline at full rate for a long time: every frame in order and as it was sent, descriptors and memory flat.

HAWSE_SOAK_SECONDS=3600 is the long form (short form: 6 s). It prints what it saw a minute.
"""
from __future__ import annotations

import json
import os
import signal
import statistics
import threading
import time
import typing

from harness import PASS, WATCHDOG_S, Bench
from storm import held_by

SECONDS = float(os.environ.get("HAWSE_SOAK_SECONDS", "6"))
GROWTH = {"descriptors": 0, "maps": 2, "threads": 0, "anonymous_kib": 512}  # of a process over the soak; a frame's leak is thousands of times that


def test_a_soak_at_full_rate_keeps_every_frame_and_no_memory(bench: Bench) -> None:
    bench.nodes(PASS)
    nodes: dict[str, typing.Any] = {}
    edges: list[typing.Any] = []
    for size, elements in (("small", 64), ("large", 1 << 20)):
        nodes[f"{size}_source"] = {"node": "test/source", "executor": "process", "params": {"shape": [elements], "dtype": "uint8", "count": 0}}
        nodes[f"{size}_pass"] = {"node": "nodes.py:Pass"}
        nodes[f"{size}_sink"] = {"node": "test/sink", "executor": "process", "params": {"verify": True}}
        nodes[f"{size}_view"] = {"node": "test/sink", "executor": "thread", "params": {"verify": True, "gaps": True}}
        edges += [f"{size}_source -> {size}_pass -> {size}_sink", {"from": f"{size}_source", "to": f"{size}_view", "when_full": "drop_oldest"}]
    bench.write({"nodes": nodes, "edges": edges})
    process = bench.start()
    where: dict[str, int] = {}
    running = threading.Event()
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            event = json.loads(line)
            if event["event"] == "node" and event.get("where", "").startswith("process "):
                where[event["node"]] = int(event["where"].split()[1])
            if event["event"] == "session" and event["state"] == "running":
                running.set()

    reader = threading.Thread(target=read)
    reader.start()
    samples: list[dict[str, dict[str, int]]] = []
    try:
        assert running.wait(WATCHDOG_S), lines
        begin = time.monotonic()
        while time.monotonic() < begin + SECONDS and process.poll() is None:
            time.sleep(max(0.1, SECONDS / 60))
            try:
                samples.append({name: held_by(pid) for name, pid in {"runtime": process.pid, **where}.items()})
            except OSError:
                break  # one is gone: its failure is among the events
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        reader.join()
    events = [json.loads(line) for line in lines]
    failures = [e for e in events if e["event"] == "failure"]
    assert not failures and process.returncode == 130, json.dumps(failures)
    summary = events[-1]
    for edge in summary["edges"]:
        assert edge["received"] + edge["dropped"] == edge["frames"] or edge["to"].split(".")[0].endswith("_view"), edge
        assert edge["received"] > 0 and (edge["dropped"] == 0 or edge["to"].split(".")[0].endswith("_view")), edge
    quarter = len(samples) // 4
    for name in samples[0]:
        for what, allowed in GROWTH.items():
            early = statistics.median(sample[name][what] for sample in samples[quarter : 2 * quarter])
            late = statistics.median(sample[name][what] for sample in samples[3 * quarter :])
            assert late - early <= allowed, f"{name}: {what} grew from {early} to {late} in {SECONDS} s"
    print([f"{e['from']} -> {e['to']}: {e['received']} frames, {e['dropped']} dropped" for e in summary["edges"]], samples[quarter], samples[-1], sep="\n")
