# SPDX-License-Identifier: Apache-2.0
"""Commands against running sessions: ps, top, logs, inspect, restart, stop, tap. Each test has a run folder of its own, so that it sees its own sessions only."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import typing
import wave

import pytest
from harness import HAWSE, ROOT, WATCHDOG_S, Run, json_lines, needs_engine
from sight import Sight

NODES = """
    import json, os, sys, time
    class Pass(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            return self.output.like(tensor)
    class Slow(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            time.sleep(0.02)
            return self.output.like(tensor)
    class Stuck(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> None:
            time.sleep(1000)
    class Talks(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            print("printed", flush=True)
            print("to stderr", file=sys.stderr, flush=True)
            print(json.dumps({"level": "WARNING", "message": 'quotes " and \\\\ and \\u2028 and \\x1b[31m', "n": [1, {"deep": None}]}), flush=True)
            self.log.debug("nobody asked")
            self.log.error("logged")
            return self.output.like(tensor)
    class Storm(hawse.Node):
        def setup(self) -> None:
            import threading
            block = (b"x" * 99 + b"\\n") * 10_000
            def print_without_end() -> None:
                while True:
                    os.write(1, block)
            threading.Thread(target=print_without_end, daemon=True).start()
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            return self.output.like(tensor)
"""
SOURCE = {"node": "test/source", "params": {"count": 0, "rate_hz": 100, "shape": [100]}}
SINK = {"node": "test/sink"}


@pytest.fixture(autouse=True)
def nodes_are_there(sight: Sight) -> None:
    sight.bench.nodes(NODES)


def test_ps_without_a_session_says_so_and_names_the_next_step(sight: Sight) -> None:
    assert "hawse run" in sight.ok("ps")
    assert sight.ps() == []
    for command in (["top"], ["logs"], ["inspect"], ["stop"], ["restart", "x"]):
        done = sight(*command)
        assert done.returncode == 2 and "none is running" in done.stderr


def test_ps_lists_a_session_until_its_end(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "slow": {"node": "nodes.py:Slow"}, "sink": SINK}, ["source -> slow -> sink"])
    (session,) = sight.ps()
    assert session["pipeline"] == "test" and session["pid"] == process.pid and session["restarts"] == 0
    assert (session["running"], session["nodes"]) == (3, 3)
    assert session["file"] == str(sight.bench.pipeline)
    line = sight.ok("ps").splitlines()[1]
    assert session["id"] in line and "3/3" in line and "running" in line
    sight.ok("stop")
    assert sight.bench.finish(process).code == 130
    assert sight.ps() == []


def test_a_session_is_found_by_its_first_letters_or_its_pipelines_name_and_what_is_unclear_is_listed(sight: Sight) -> None:
    for name in ("twice", "twice", "once"):
        sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"], name=name)
    first, second, once = (s["id"] for s in sight.ps())
    assert sight.ok("stop", "once").startswith(once)
    unique = next(first[:n] for n in range(1, 9) if not second.startswith(first[:n]))
    assert sight("inspect", unique).returncode == 0
    for wrong, words in (("", "more than one is running"), ("zzz", "begins with 'zzz'"), ("twice", "'twice' fits more than one")):
        done = sight("top", "--once", *([wrong] if wrong else []))
        assert done.returncode == 2
        assert words in done.stderr and first in done.stderr and second in done.stderr
    for session in (first, second):
        sight.ok("stop", session)


def test_top_shows_rates_queues_cpu_and_memory(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "slow": {"node": "nodes.py:Slow", "limits": {"memory": "256MiB"}}, "sink": SINK},
                          [{"from": "source", "to": "slow", "queue": 4}, "slow -> sink"])
    sight.wait_until(lambda: sight.top()[1]["source.out -> slow.tensor"]["waiting"] == 4, process)
    nodes, edges = sight.top()
    slow = nodes["slow"]
    assert slow["state"] == "running" and slow["where"].startswith("process ")
    assert 0 < slow["in_per_s"] <= 60, "it sleeps 20 ms a frame"
    assert slow["queued"] == 4 and edges["source.out -> slow.tensor"]["queue"] == 4
    assert slow["latency_ns"]["p50"] > 0 and slow["processing_ns"]["p99"] >= slow["processing_ns"]["p50"] >= 20e6 * 0.9
    assert slow["memory_limit_bytes"] == 256 << 20 and 0 < slow["memory_bytes"] < 256 << 20
    assert slow["cpu_percent"] is not None and slow["restarts"] == 0
    table = sight.ok("top", "--interval", "50ms", "--edges")
    assert "of 256 MiB" in table and "source.out -> slow.tensor" in table and "block" in table
    sight.stop(process)


def test_logs_keep_node_stream_level_time_and_structure(sight: Sight) -> None:
    before_ns = time.time_ns()
    process = sight.start({"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "talks": {"node": "nodes.py:Talks"}, "stuck": {"node": "nodes.py:Stuck"}},
                          ["source -> talks -> stuck"], "--log-level", "debug", grace="100ms")
    lines = sight.wait_until(lambda: (found := sight.logs("--node", "talks")) and any(line["text"] == "logged" for line in found) and found, process)
    by_text = {line["text"]: line for line in lines}
    assert by_text["printed"]["stream"] == "stdout" and by_text["to stderr"]["stream"] == "stderr"
    assert by_text["logged"]["stream"] == "log" and by_text["logged"]["level"] == "error"
    assert by_text["nobody asked"]["level"] == "debug"
    assert all(line["node"] == "talks" and before_ns < line["time_ns"] < time.time_ns() for line in lines)
    (structured,) = (line for line in lines if "data" in line)
    assert structured["data"] == {"level": "WARNING", "message": 'quotes " and \\ and \u2028 and \x1b[31m', "n": [1, {"deep": None}]}
    assert json.loads(structured["text"]) == structured["data"]
    assert {line["text"] for line in sight.logs("--level", "warning")} == {"logged", structured["text"]}
    assert sight.logs("--since", "1h") == sight.logs()
    time.sleep(0.1)
    assert sight.logs("--since", "50ms") == []
    assert sight("logs", "--since", "soon").returncode == 2
    done = sight("logs", "--node", "talk")
    assert done.returncode == 2 and "did you mean 'talks'" in done.stderr
    text = sight.ok("logs")
    assert "talks stderr | to stderr" in text and "talks error | logged" in text and "\x1b" not in text
    sight.stop(process)


def test_following_a_log_ends_with_the_session(sight: Sight) -> None:
    process = sight.start({"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 20, "shape": [1]}}, "talks": {"node": "nodes.py:Talks"}, "sink": SINK}, ["source -> talks -> sink"])
    follower = subprocess.Popen([HAWSE, "logs", "-f", "--json"], env=sight.env, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    assert any(json.loads(follower.stdout.readline())["text"] == "printed" for _ in range(20))
    run = sight.stop(process)
    followed = json_lines(follower.stdout.read())  # communicate() would forget what readline() had buffered
    assert follower.wait(timeout=WATCHDOG_S) == 0
    assert run.log("talks")[-1] == [line["text"] for line in followed if line["node"] == "talks" and line["stream"] != "runtime"][-1], "up to the last line"


def test_a_log_storm_costs_the_others_neither_frames_nor_lines(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "talks": {"node": "nodes.py:Talks"}, "storm": {"node": "nodes.py:Storm"}, "sink": SINK},
                          ["source -> talks -> sink", "source -> storm -> sink"])
    sight.wait_until(lambda: sight.top()[0]["storm"]["lines_left_out"] > 1_000_000, process)  # 100 MB, nothing of which was read from the command's stdout
    nodes, _ = sight.top()
    assert nodes["talks"]["lines_left_out"] == 0
    talks, storm = sight.logs("--node", "talks"), sight.logs("--node", "storm")
    assert [line["number"] for line in talks] == list(range(1, len(talks) + 1)), "every line of the other is there"
    assert sum(len(line.get("text", "")) for line in storm) < 16 << 20
    assert any("missing" in line for line in storm), "what is not there is counted"
    resident = int(next(line for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]) << 10
    assert resident < 256 << 20, "it fills nothing"
    run = sight.stop(process)
    for edge in run.summary["edges"]:
        assert edge["frames"] == edge["received"] and edge["dropped"] == 0
    told = [e["text"] for e in run.of("notice", "storm")]
    assert len(told) == 2 and "a second" in told[0] and "were left out" in told[1]
    left_out = run.of("notice", "storm")[1]["lines"]
    assert left_out == run.node("storm")["lines_left_out"] > 1_000_000
    assert len(run.log("storm")) < left_out / 4


def test_quiet_output_is_whole_however_fast_it_comes(sight: Sight) -> None:
    sight.bench.nodes("""
        import os
        class Prints(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                block = b"".join(b"%09d " % i + b"y" * 90 + b"\\n" for i in range(400_000))
                while block:
                    block = block[os.write(1, block):]
    """)
    sight.bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "prints": {"node": "nodes.py:Prints"}}, "edges": ["source -> prints"]})
    process = subprocess.Popen([HAWSE, "run", "--quiet", str(sight.bench.pipeline)], env=sight.env, stdout=subprocess.PIPE, cwd=sight.bench.folder)
    assert process.stdout is not None
    time.sleep(0.5)  # nobody reads: the node waits, the session doesn't
    assert sight.ps()[0]["state"] == "running"
    assert [int(line[:9]) for line in process.stdout] == list(range(400_000))
    assert process.wait() == 0


def test_stop_in_order_handles_what_was_sent(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "slow": {"node": "nodes.py:Slow"}, "sink": SINK}, ["source -> slow -> sink"])
    sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > 3, process)
    run = sight.stop(process)
    assert run.code == 130 and all(node["state"] == "ended" for node in run.summary["nodes"])
    assert all(edge["frames"] == edge["received"] for edge in run.summary["edges"])


def test_stop_now_does_not_wait_for_a_node_that_hangs(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "stuck": {"node": "nodes.py:Stuck"}}, ["source -> stuck"], grace="1000s")
    assert json.loads(sight.ok("stop", "--now", "--json"))["ended"] is True
    assert sight.bench.finish(process).code == 130


@pytest.mark.parametrize("executor", [pytest.param("process"), pytest.param("container", marks=needs_engine)])
def test_a_restart_loses_nothing_and_is_no_failure(sight: Sight, executor: str) -> None:
    count = 600
    process = sight.start({"source": {"node": "test/source", "params": {"rate_hz": 200, "count": count, "shape": [10]}}, "pass": {"node": "nodes.py:Pass", "executor": executor},
                           "sink": {"node": "test/sink"}}, ["source -> pass -> sink"])
    sight.wait_until(lambda: sight.top()[0]["pass"]["frames_in"] > 5, process)
    before = sight.top()[0]["pass"]["where"]
    for _ in range(3):  # more often than it has attempts, which is once
        done = json.loads(sight.ok("restart", "pass", "--json"))
        assert done["state"] == "running" and done["where"] != before
        before = done["where"]
    (session,) = sight.ps()
    assert session["restarts"] == 3 and session["state"] == "running"
    run = sight.bench.finish(process)
    assert run.code == 0 and not run.of("failure"), "as if nothing had happened"
    assert run.node("pass")["restarts"] == 3
    edge = run.edge("source", "pass")
    assert edge["frames"] - edge["given_again"] == count
    assert run.edge("pass", "sink")["received"] >= count, "at least once"


def test_with_watch_a_node_whose_file_changes_is_started_again_and_a_mistake_waits_for_its_repair(sight: Sight) -> None:
    count = """
    class Count(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> None: pass
    """
    sight.bench.nodes(NODES + count)
    process = sight.start({"source": SOURCE, "slow": {"node": "nodes.py:Slow"}, "sink": {"node": "nodes.py:Count"}}, ["source -> slow -> sink"], "--watch")
    said = lambda: [line["text"] for line in sight.logs("--node", "slow")]  # noqa: E731
    sight.bench.nodes(NODES.replace("time.sleep(0.02)", "print('changed', flush=True)") + count)
    sight.wait_until(lambda: "changed" in said(), process)
    assert any("nodes.py has changed" in text for text in said())
    sight.bench.nodes(NODES.replace("time.sleep(0.02)", "this is no Python") + count)
    sight.wait_until(lambda: sight.top()[0]["slow"]["state"] == "waiting to restart", process)
    sight.bench.nodes(NODES.replace("time.sleep(0.02)", "print('repaired', flush=True)") + count)
    sight.wait_until(lambda: "repaired" in said(), process)
    run = sight.stop(process)
    assert all(node["state"] == "ended" for node in run.summary["nodes"])
    first, second = run.edge("source", "slow"), run.edge("slow", "sink")
    assert first["dropped"] == second["dropped"] == 0 and second["received"] >= first["frames"] - first["given_again"], "nothing was lost on the way"


def test_a_restart_that_cannot_be_says_why(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    for node, words in (("source", "thread of the runtime"), ("sorce", "did you mean 'source'")):
        done = sight("restart", node)
        assert done.returncode == 2 and words in done.stderr
    sight.stop(process)


def test_inspect_shows_what_a_process_may_touch_and_what_it_holds(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "pass": {"node": "nodes.py:Pass", "env": {"KEY": "secret"}}, "sink": SINK}, ["source -> pass -> sink"])
    sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > 0, process)
    (node,) = json.loads(sight.ok("inspect", "", "pass", "--json"))
    assert any("everything that your user can reach" in line for line in node["may_touch"]) and "secret" not in json.dumps(node)
    links = {(d["port"], d["peer"]) for d in node["descriptors"] if d["kind"] == "link"}
    assert links == {("tensor", "source.out"), ("out", "sink.in")}
    arenas = {(d["port"], d["may"]): d for d in node["descriptors"] if d["kind"] == "arena"}
    assert "r--s" in arenas[("tensor", "read")]["mapped"] and "rw-s" in arenas[("out", "write")]["mapped"]
    assert all(d["open"] or d["mapped"] for d in node["descriptors"] if d["kind"] in ("link", "doorbell", "node page"))
    assert not [d for d in node["descriptors"] if d["kind"] == "other"], "it has no memory but its own"
    text = sight.ok("inspect")
    assert "was given" in text and "sink.in" in text
    tap = subprocess.Popen([HAWSE, "tap", "pass", "--json"], env=sight.env, stdout=subprocess.PIPE, text=True)
    assert tap.stdout is not None and tap.stdout.readline()
    (node,) = json.loads(sight.ok("inspect", "", "pass", "--json"))
    assert {d["kind"] for d in node["descriptors"] if d.get("peer") == "a tap"} == {"link", "doorbell"}
    tap.kill()
    tap.communicate()
    (node,) = json.loads(sight.ok("inspect", "", "pass", "--json"))
    assert {d["name"] for d in node["descriptors"] if d["kind"] == "other"} <= {"/memfd:hawse-link", "/memfd:hawse-doorbell"}
    sight.stop(process)


@needs_engine
def test_inspect_shows_the_walls_of_a_container(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "pass": {"node": "nodes.py:Pass", "executor": "container", "limits": {"memory": "200MiB"}}, "sink": SINK}, ["source -> pass -> sink"])
    sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > 0, process)
    (node,) = json.loads(sight.ok("inspect", "", "pass", "--json"))
    assert any("network: none" in line for line in node["may_touch"]) and node["limits_by"] == "engine"
    assert {d["kind"] for d in node["descriptors"]} == {"control socket", "doorbell", "node page", "link", "arena"}, "it has no memory but its own"
    if os.geteuid() == 0:  # else /proc doesn't say, of a process of another user
        assert pathlib.Path(f"/proc/{node['pid']}/cmdline").read_bytes().startswith(b"python3\0")
        assert all(d["open"] or d["mapped"] for d in node["descriptors"] if d["kind"] in ("link", "doorbell", "node page"))
        assert {d["may"]: d["mapped"][:2] for d in node["descriptors"] if d["kind"] == "arena"} == {"read": "r-", "write": "rw"}
    nodes, _ = sight.top()
    assert nodes["pass"]["memory_limit_bytes"] == 200 << 20 and nodes["pass"]["cpu_percent"] is not None
    sight.stop(process)


# ---- tap ---------------------------------------------------------------------------------------------------------------------


def tap_lines(sight: Sight, *arguments: str) -> list[dict[str, typing.Any]]:
    return json_lines(sight.ok("tap", "--json", *arguments))


@pytest.mark.parametrize("executor", [pytest.param("process"), pytest.param("container", marks=needs_engine)])
def test_a_tap_shows_the_frames_of_any_output(sight: Sight, executor: str) -> None:
    process = sight.start({"source": SOURCE, "pass": {"node": "nodes.py:Pass", "executor": executor}, "sink": SINK}, ["source -> pass -> sink"])
    for node in ("source", "pass.out"):  # a thread in C++, a process or container in Python
        frames = tap_lines(sight, node, "-n", "3")
        assert [f["sequence"] for f in frames] == list(range(frames[0]["sequence"], frames[0]["sequence"] + 3))
        assert all(f["type"] == "tensor" and f["shape"] == [100] and f["cut"] and len(f["values"]) == 64 for f in frames)
    raw = subprocess.run([HAWSE, "tap", "pass", "--as", "raw", "-n", "2"], env=sight.env, capture_output=True, check=True).stdout
    assert len(raw) == 2 * frames[0]["bytes"]
    assert "tensor" in sight.ok("tap", "source", "-n", "1")
    run = sight.stop(process)
    assert all(edge["frames"] == edge["received"] and edge["dropped"] == 0 for edge in run.summary["edges"]), "the edges noticed nothing"
    assert len(run.summary["edges"]) == 2 and not run.of("failure")


def test_a_tap_that_stands_still_holds_up_nothing_and_is_taken_away(sight: Sight) -> None:
    process = sight.start({"source": {"node": "test/source", "params": {"count": 0, "rate_hz": 500, "shape": [100_000]}}, "sink": SINK}, ["source -> sink"])
    tap = subprocess.Popen([HAWSE, "tap", "source", "--json"], env=sight.env, stdout=subprocess.PIPE, text=True)
    assert tap.stdout is not None
    json.loads(tap.stdout.readline())  # it runs; from here on nobody reads it
    for _ in range(2):
        before = sight.top()[0]["sink"]["frames_in"]
        sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > before + 500, process)
    tap.send_signal(signal.SIGSTOP)
    sight.wait_until(lambda: any("stands still" in line["text"] for line in sight.logs()), process)
    before = sight.top()[0]["sink"]["frames_in"]
    sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > before + 500, process)
    tap.kill()
    tap.communicate()
    run = sight.stop(process)
    assert run.edge("source", "sink")["frames"] == run.edge("source", "sink")["received"]


def test_a_tap_that_is_killed_leaves_the_writer_all_its_slots(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    for _ in range(20):  # far more than the port has links or slots to lose
        tap = subprocess.Popen([HAWSE, "tap", "source", "--json"], env=sight.env, stdout=subprocess.PIPE, text=True)
        assert tap.stdout is not None and tap.stdout.readline()
        tap.kill()
        tap.communicate()
    (node,) = json.loads(sight.ok("inspect", "", "source", "--json"))
    arenas = [d for d in node["descriptors"] if d["kind"] == "arena"]
    assert len(arenas) <= 2, "it did not have to grow again and again"
    sight.stop(process)


def test_a_tap_ends_with_the_stream_and_outlives_a_restart(sight: Sight) -> None:
    process = sight.start({"source": {"node": "test/source", "params": {"rate_hz": 100, "count": 500, "shape": [10]}}, "pass": {"node": "nodes.py:Pass"}, "sink": SINK},
                          ["source -> pass -> sink"])
    tap = subprocess.Popen([HAWSE, "tap", "pass", "--json"], env=sight.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert tap.stdout is not None
    first = json.loads(tap.stdout.readline())["sequence"]
    sight.ok("restart", "pass")
    sequences = [first, *(json.loads(line)["sequence"] for line in tap.stdout)]  # communicate() would forget what readline() had buffered
    _, told = tap.communicate(timeout=WATCHDOG_S)
    assert tap.returncode == 0 and sequences == sorted(set(sequences)) and sequences[-1] >= 500
    missed = sequences[-1] - sequences[0] + 1 - len(sequences)
    assert f"{len(sequences)} frames shown, {missed} left out" in told, "every drop is counted"
    assert sight.bench.finish(process).code == 0


def test_a_tap_writes_what_is_heard_and_seen(sight: Sight, tmp_path: pathlib.Path) -> None:
    process = sight.start({"sound": {"node": "test/source", "params": {"count": 0, "type": "audio", "rate_hz": 50, "shape": [320, 1], "dtype": "float32", "sample_rate": 16000}},
                           "picture": {"node": "test/source", "params": {"count": 0, "type": "image", "rate_hz": 20, "shape": [33, 47]}},
                           "sink": SINK, "other": SINK}, ["sound -> sink", "picture -> other"])
    heard, seen = tmp_path / "heard.wav", tmp_path / "seen.png"
    sight.ok("tap", "sound", "--as", "wav", "-n", "25", "-o", str(heard))
    with wave.open(str(heard)) as file:
        assert file.getframerate() == 16000 and file.getnchannels() == 1 and file.getnframes() >= 25 * 320
    assert sight("tap", "sound", "--as", "png", "-n", "1", "-o", str(seen)).returncode == 2
    sight.ok("tap", "picture", "--as", "png", "-n", "1", "-o", str(seen))
    picture = seen.read_bytes()
    assert picture.startswith(b"\x89PNG") and struct.unpack(">II", picture[16:24]) == (47, 33)
    sight.stop(process)


def test_a_tap_of_what_is_not_there_says_what_there_is(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    for wanted, words in (("sorce.out", "did you mean 'source'"), ("source.audio", "outputs with an edge: out"), ("sink.out", "none of its outputs has an edge")):
        done = sight("tap", wanted)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    sight.stop(process)


def as_another_user(call: typing.Callable[[], None]) -> int:
    """Runs it in a child as `nobody`; 0: it did not raise."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            call()
            os._exit(0)
        except PermissionError:
            os._exit(13)
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_open_the_socket(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    (path,) = sight.run_dir.glob("*/control")
    sight.run_dir.parent.chmod(0o755)

    def connect() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
            end.connect(str(path))

    assert path.parent.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o777 == 0o600
    connect()
    assert as_another_user(connect) == 13
    sight.stop(process)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_turned_away_even_where_the_files_let_him_in(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    (path,) = sight.run_dir.glob("*/control")
    for place in (sight.run_dir.parent, path.parent, path):
        place.chmod(0o777)

    def stop() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
            end.connect(str(path))
            try:
                end.send(b'{"type": "stop", "version": 1, "now": true}')
            except (BrokenPipeError, ConnectionResetError):
                raise PermissionError from None
            if b"another user" in end.recv(1 << 16):
                raise PermissionError

    assert as_another_user(stop) == 13
    assert process.poll() is None and len(sight.ps()) == 1
    sight.stop(process)


def test_a_killed_session_is_not_listed_and_its_folder_goes_with_its_guard_or_the_next_start(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    process.kill()
    process.wait()
    assert sight.ps() == []
    sight.wait_until(lambda: not list(sight.run_dir.iterdir()))
    process = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    guard = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    for pid in (guard, process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert len(list(sight.run_dir.iterdir())) == 1 and sight.ps() == []
    again = sight.start({"source": SOURCE, "sink": SINK}, ["source -> sink"])
    assert [p.name.split("-")[0] for p in sight.run_dir.iterdir()] == [sight.ps()[0]["id"]]
    sight.stop(again)


def test_a_command_that_never_reads_holds_up_nothing(sight: Sight) -> None:
    process = sight.start({"source": SOURCE, "talks": {"node": "nodes.py:Talks"}, "sink": SINK}, ["source -> talks -> sink"])
    (path,) = sight.run_dir.glob("*/control")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.connect(str(path))
        end.send(b'{"type": "logs", "follow": true, "version": 1}')
        for _ in range(200):
            end.send(b'{"type": "status", "version": 1}')
        before = sight.top()[0]["sink"]["frames_in"]
        sight.wait_until(lambda: sight.top()[0]["sink"]["frames_in"] > before + 10, process)
    sight.stop(process)


def test_an_embedding_program_opens_the_socket_if_it_wants_to(sight: Sight) -> None:
    sight.bench.nodes("""
        class Tell(hawse.Node):
            def process(self, audio: hawse.Audio) -> hawse.Text:
                return hawse.Text(str(int(audio.samples[0, 0])))
    """)
    sight.bench.write({"inputs": {"mic": "tell"}, "outputs": {"text": "tell"}, "nodes": {"tell": {"node": "nodes.py:Tell"}}, "edges": []})
    program = subprocess.Popen([ROOT / "build" / "tests" / "embed_program", str(sight.bench.pipeline), "visible"], env=sight.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    (session,) = sight.wait_until(sight.ps)
    assert session["pid"] == program.pid
    assert {"application", "tell"} == set(sight.top()[0])
    assert program.communicate("go on\n", timeout=WATCHDOG_S)[0].split() == ["1", "2", "3"]
    assert sight.ps() == []
