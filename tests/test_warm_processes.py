# SPDX-License-Identifier: Apache-2.0
"""Processes that `hawse warm` and `pool:` keep: an interpreter that has the module imported waits, is lent to one session, and forks its nodes. Containers: test_warm.py."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import typing

import pytest
from harness import HAWSE, RUN_DIR, Bench, Run, assert_nothing_left, wait_for

SAYS = """
    import json, os, time
    imported_at = time.monotonic_ns()
    class Node(hawse.Node):
        def setup(self) -> None:
            print(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "imported_at": imported_at, "word": os.environ.get("WORD", ""), "in": os.getcwd(), "cpus": sorted(os.sched_getaffinity(0))}), flush=True)
        def process(self, tensor: hawse.Tensor) -> None:
            if tensor.sequence == int(os.environ.get("CRASH_AT", "-1")):
                os._exit(7)
"""
RESTART = {"on": "failure", "attempts": 5, "backoff": "1ms"}


def hawse(bench: Bench, *arguments: object, code: int = 0, **options: typing.Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([HAWSE, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=bench.folder, **options)
    assert done.returncode == code, done.stderr
    return done


def kept(bench: Bench) -> dict[str, typing.Any]:
    (line,) = json.loads(hawse(bench, "warm", "--ls", "--json").stdout)
    return line  # type: ignore[no-any-return]


def waiting(bench: Bench) -> list[int]:
    return [int(one.removeprefix("process ")) for one in kept(bench)["where"]]


def alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def said(run: Run) -> list[dict[str, typing.Any]]:
    return [json.loads(line) for line in run.log("node") if line.startswith("{")]


@pytest.fixture
def one(bench: Bench) -> typing.Iterator[typing.Callable[..., Bench]]:
    """A source and one node of class Node that is a process."""
    def write(source: str = SAYS, *, count: int = 3, rate_hz: float = 0, **more: object) -> Bench:
        bench.nodes(source)
        bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": count, "rate_hz": rate_hz, "shape": [16]}}, "node": {"node": "nodes.py:Node", **more}},
                     "edges": ["source -> node"]})
        return bench
    yield write
    hawse(bench, "warm", "--stop")
    wait_for(lambda: not RUN_DIR.exists() or not list(RUN_DIR.iterdir()), "the keeper and its folder are gone")
    assert_nothing_left()


def test_what_is_warm_is_lent_once_and_refilled_and_a_run_imports_nothing(one: typing.Callable[..., Bench]) -> None:
    bench = one()
    assert "1 process started and waiting" in hawse(bench, "warm", bench.pipeline).stderr
    (waited,) = waiting(bench)
    warm_ns = time.monotonic_ns()
    run = bench.run_ok()
    (start,) = said(run)
    assert start["parent"] == waited and start["imported_at"] < warm_ns and start["in"] == str(bench.folder)
    assert run.node("node")["phases_ms"]["interpreter"] == 0
    wait_for(lambda: not alive(waited) and len(waiting(bench)) == 1, "the one that was used is gone, and another one waits")
    assert waiting(bench) != [waited]
    assert "1 that waited is ended" in hawse(bench, "warm", "--stop", bench.pipeline).stdout


def test_a_restart_is_a_fork_of_the_same_one_and_every_end_is_told(one: typing.Callable[..., Bench]) -> None:
    bench = one(env={"CRASH_AT": "1"}, restart=RESTART)
    hawse(bench, "warm", bench.pipeline)
    (waited,) = waiting(bench)
    run = bench.run_ok()  # the frame is set aside after its third death
    starts = said(run)
    assert len(starts) == 4 and {start["parent"] for start in starts} == {waited} and len({start["pid"] for start in starts}) == 4
    assert [(failure["kind"], failure["code"]) for failure in run.of("failure", "node")] == [("exit", 7)] * 3


@pytest.mark.parametrize("change", ["code", "env", "folder", "processors"])
def test_what_was_made_for_other_code_env_or_folder_is_thrown_away(one: typing.Callable[..., Bench], change: str) -> None:
    bench = one()
    hawse(bench, "warm", bench.pipeline)
    (waited,) = waiting(bench)
    folder, cpus = bench.folder, sorted(os.sched_getaffinity(0))
    if change == "code":
        bench.nodes(SAYS.replace('"word": os', '"changed": os'))
    elif change == "env":
        manifest = json.loads(bench.pipeline.read_text())
        manifest["nodes"]["node"]["env"] = {"WORD": "new"}
        bench.write(manifest)
    elif change == "folder":
        folder = bench.folder / "other"
        folder.mkdir()
    else:
        cpus = cpus[:1]
    done = subprocess.run(["taskset", "-c", ",".join(map(str, cpus)), HAWSE, "run", "--json", bench.pipeline], capture_output=True, text=True, cwd=folder, timeout=300)
    start = next(json.loads(json.loads(line)["text"]) for line in done.stdout.splitlines() if '"pid' in line and '"event":"log"' in line)
    assert start["parent"] != waited and start["in"] == str(folder)
    assert start["cpus"] == cpus and {"code": "changed" in start, "env": start.get("word") == "new"}.get(change, True)
    wait_for(lambda: not alive(waited) and len(waiting(bench)) == 1, "one of the new kind waits in its place")
    assert os.sched_getaffinity(waiting(bench)[0]) == set(cpus)


def test_a_pool_fills_by_itself_and_a_limit_is_told_of_a_warm_node(one: typing.Callable[..., Bench]) -> None:
    bench = one(SAYS.replace("if tensor", "self.kept = [bytearray(4 << 20) for _ in range(100)]\n            if tensor"), pool=2, limits={"memory": "96MiB"})
    assert bench.run().code == 5
    wait_for(lambda: len(waiting(bench)) == 2, "two wait")
    warm = waiting(bench)
    run = bench.run()
    (failure,) = run.of("failure", "node")
    assert failure["kind"] == "out of memory" and failure["limit_bytes"] == 96 << 20 and said(run)[0]["parent"] in warm


def test_a_killed_session_leaves_nothing_of_the_warm_process_that_it_had(one: typing.Callable[..., Bench]) -> None:
    bench = one(count=0, rate_hz=50)
    hawse(bench, "warm", bench.pipeline)
    (waited,) = waiting(bench)
    session = bench.start()
    wait_for(lambda: kept(bench)["lent"] == 1, "it is lent")
    session.kill()
    session.communicate()
    wait_for(lambda: not alive(waited) and kept(bench)["lent"] == 0, "it is ended")


def test_a_killed_keeper_takes_its_processes_along_and_the_node_starts_again(one: typing.Callable[..., Bench]) -> None:
    bench = one(count=100, rate_hz=50, restart=RESTART)
    hawse(bench, "warm", "-n", 2, bench.pipeline)
    both = waiting(bench)
    session = bench.start()
    wait_for(lambda: kept(bench)["lent"] == 1, "one is lent")
    os.kill(int((RUN_DIR / "keeper" / "owner").read_text().split()[0]), signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in both), "both are ended")
    run = bench.finish(session)
    assert bench.run_ok().code == 0, "and sweeps what the keeper has left"
    assert run.code == 0 and len(said(run)) == 2 and said(run)[1]["parent"] not in both
    assert run.of("failure", "node")[0]["text"].count(f"its zygote (process {said(run)[0]['parent']})") == 1
    edge = run.edge("source", "node")
    assert edge["frames"] - edge["given_again"] == 100


def test_a_module_that_prints_without_end_fills_nothing(one: typing.Callable[..., Bench]) -> None:
    bench = one(SAYS.replace("imported_at =", "import subprocess; print('begun'); subprocess.Popen(['yes', 'x' * 1000])\n    imported_at ="))
    state = bench.folder / "state"
    hawse(bench, "warm", bench.pipeline, env={**os.environ, "HAWSE_STATE": str(state)})
    log, older, files = state / "keeper.log", state / "keeper.log.1", set()

    def rotates() -> bool:
        with contextlib.suppress(FileNotFoundError):  # just now
            assert log.stat().st_size <= 1 << 20
            files.add(log.stat().st_ino)
        return older.exists() and older.stat().st_size <= 1 << 20 and len(files) > 1
    wait_for(rotates, "it has begun a new log")
    assert len(waiting(bench)) == 1 and {each.name for each in state.glob("keeper.log*")} <= {"keeper.log", "keeper.log.1"}
    assert said(bench.run_ok())[0]["parent"] > 0


def test_a_module_that_leaves_threads_running_is_refused_by_name(one: typing.Callable[..., Bench]) -> None:
    bench = one(SAYS.replace("imported_at =", "import threading; threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\n    imported_at ="))
    done = hawse(bench, "warm", bench.pipeline, code=4)
    assert "leaves threads running" in done.stderr and "executor: container" in done.stderr


def test_a_pool_beside_a_limit_of_file_sizes_is_a_finding_with_its_place(one: typing.Callable[..., Bench]) -> None:
    bench = one(pool=1, limits={"file": "1MiB"})
    done = hawse(bench, "check", bench.pipeline, code=3)
    assert "pipeline.yaml:1:" in done.stderr and "pool: and limits: file: can't go together in node 'node' as a process" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide the control groups")
def test_a_pool_that_setrlimit_rules_out_is_said_once(one: typing.Callable[..., Bench]) -> None:
    bench = one(env={"CRASH_AT": "1"}, restart={**RESTART, "poison_after": 1}, pool=1, limits={"memory": "4GiB"})
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh", HAWSE, "run", "--json", bench.pipeline]
    done = subprocess.run(hidden, capture_output=True, text=True, cwd=bench.folder, timeout=300)
    notices = [event["text"] for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "notice"]
    assert done.returncode == 0 and len([text for text in notices if "isn't forked from what is kept warm: setrlimit" in text]) == 1, notices
