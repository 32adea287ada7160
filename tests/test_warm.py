# SPDX-License-Identifier: Apache-2.0
"""Starts in containers: a restart is a fork in the same container, what `hawse warm` and `pool:` keep is given out once, `share: true` shares one container."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time
import typing

import pytest
from harness import HAWSE, RUN_DIR, Bench, Run, needs_engine, wait_for

pytestmark = needs_engine

SAYS = """
    import json, os, time
    imported_at = time.monotonic_ns()
    class Node(hawse.Node):
        def setup(self) -> None:
            print(json.dumps({"host": os.uname().nodename, "imported_at": imported_at, "pid": os.getpid()}))
        def process(self, tensor: hawse.Tensor) -> None: ...
"""


def hawse(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([HAWSE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def kept() -> list[dict[str, typing.Any]]:
    return json.loads(hawse("warm", "--ls", "--json").stdout)  # type: ignore[no-any-return]


def containers(*states: str) -> list[str]:
    """Ids of the containers that a keeper made."""
    filters = [part for state in states for part in ("--filter", f"status={state}")]
    return subprocess.run(["docker", "ps", "-aq", "--no-trunc", "--filter", "label=hawse.session=warm", *filters], capture_output=True, text=True).stdout.split()


def where(line: dict[str, typing.Any]) -> list[str]:
    """Ids of the containers that wait, as `docker ps` shows them."""
    return [one.removeprefix("container ") for one in line["where"]]


@pytest.fixture(autouse=True)
def nothing_is_left() -> typing.Iterator[None]:
    yield
    hawse("warm", "--stop")
    wait_for(lambda: containers() == [] and not (RUN_DIR.exists() and list(RUN_DIR.iterdir())), "keeper, sessions and containers are gone")


def one(bench: Bench, source: str, *, count: int = 3, **more: object) -> Bench:
    """A source, and one node of class Node in a container."""
    bench.nodes(source)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": count, "shape": [16]}},
                           "node": {"node": "nodes.py:Node", "executor": "container", **({"container": {"python": "3.11"}} | more)}}, "edges": ["source -> node"]})
    return bench


def counted(bench: Bench) -> dict[str, object]:
    """A folder in which a node's starts can count themselves (`starts()` in its module), whatever becomes of its container."""
    folder = bench.folder / "starts"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    return {"python": "3.11", "mounts": [f"{folder}:/starts:rw"]}


COUNTS = """
    import json, os, signal, subprocess, threading, time
    def starts() -> int:
        open(f"/starts/{time.monotonic_ns()}", "w").close()
        return len(os.listdir("/starts"))
"""


def said(run: Run, node: str = "node") -> list[dict[str, typing.Any]]:
    return [json.loads(line) for line in run.log(node) if line.startswith("{")]


RESTART = {"on": "failure", "attempts": 5, "backoff": "1ms"}


def test_a_restart_in_a_container_is_a_fork_in_the_same_one_and_every_end_is_told(bench: Bench) -> None:
    one(bench, COUNTS + """
    print("imported")
    open("/tmp/of-the-import", "w").close()
    class Node(hawse.Node):
        def setup(self) -> None:
            self.start = starts()
            running = [open(f"/proc/{p}/comm").read().strip() for p in os.listdir("/proc") if p.isdigit()]
            print(json.dumps({"host": os.uname().nodename, "tmp": sorted(os.listdir("/tmp")), "sleeps": running.count("sleep")}))
        def process(self, tensor: hawse.Tensor) -> None:
            open("/tmp/of-the-node", "w").close()
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
            if self.start == 1:
                os.kill(os.getpid(), signal.SIGABRT)
            if self.start == 2:
                os._exit(9)
            if self.start == 3:
                raise ValueError("a bad frame")
    """, container=counted(bench), restart={**RESTART, "poison_after": 0})
    run = bench.run_ok()
    assert [f["text"].split(" (")[0] for f in run.of("failure")] == ["was ended by signal 6", "exited with code 9", "failed in process on frame 1: ValueError: a bad frame"]
    starts = said(run)
    assert len(starts) == 4 and len({start["host"] for start in starts}) == 1, "one container"
    assert all(start["tmp"] == ["of-the-import"] and start["sleeps"] == 0 for start in starts), "what a node left there is gone"
    assert run.log("node").count("imported") == 1
    phases = run.node("node")["phases_ms"]
    assert "fork" in phases and "create" not in phases


def test_a_memory_limit_met_in_one_start_is_that_starts_alone(bench: Bench) -> None:
    one(bench, COUNTS + """
    class Node(hawse.Node):
        def setup(self) -> None:
            self.start = starts()
        def process(self, tensor: hawse.Tensor) -> None:
            if self.start == 1:
                self.kept = [bytearray(4 << 20) for _ in range(100)]
            if self.start == 2:
                os.kill(os.getpid(), 9)
    """, container=counted(bench), restart=RESTART, limits={"memory": "96MiB"})
    run = bench.run_ok()
    first, second = run.of("failure")
    assert first["kind"] == "out of memory" and first["limit_bytes"] == 96 << 20 and 80 << 20 < first["peak_bytes"] <= 96 << 20
    assert second["kind"] == "signal" and second["text"].startswith("was ended by signal 9")
    assert run.node("node")["phases_ms"].get("create") is None, "it went on in the same container"


def test_a_zygote_that_its_node_kills_is_named_and_a_new_container_is_made(bench: Bench) -> None:
    one(bench, COUNTS + """
    class Node(hawse.Node):
        def setup(self) -> None:
            self.start = starts()
            print(json.dumps({"host": os.uname().nodename}))
        def process(self, tensor: hawse.Tensor) -> None:
            if self.start == 1:
                os.kill(os.getppid(), 9)
                time.sleep(1000)
    """, container=counted(bench), restart=RESTART)
    run = bench.run_ok()
    (failure,) = run.of("failure")
    assert failure["kind"] == "lost" and "its zygote (container " in failure["text"] and "was ended by signal 9" in failure["text"]
    assert len({start["host"] for start in said(run)}) == 2


def test_a_module_with_threads_is_the_node_itself_and_a_restart_has_a_new_container(bench: Bench) -> None:
    one(bench, COUNTS + """
    thread = threading.Thread(target=time.sleep, args=(1000,), daemon=True)
    thread.start()
    class Node(hawse.Node):
        def setup(self) -> None:
            self.start = starts()
            print(json.dumps({"host": os.uname().nodename, "alive": thread.is_alive()}))
        def process(self, tensor: hawse.Tensor) -> None:
            if self.start == 1:
                os._exit(7)
    """, container=counted(bench), restart=RESTART)
    run = bench.run_ok()
    (failure,) = run.of("failure")
    assert failure["text"] == "exited with code 7"
    (notice,) = run.of("notice")
    assert notice["text"].startswith("nodes.py leaves threads running when it is imported (")
    starts = said(run)
    assert len({start["host"] for start in starts}) == 2 and all(start["alive"] for start in starts)


def test_an_import_that_ends_its_container_is_told_as_the_nodes_end(bench: Bench) -> None:
    one(bench, """
        import os, sys
        print("about to", file=sys.stderr)
        os._exit(3)
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """, restart={"on": "failure", "attempts": 2, "backoff": "1ms"})
    run = bench.run()
    assert run.code == 5
    assert [f["text"] for f in run.of("failure")] == ["exited with code 3"] * 2
    assert "about to" in run.log("node")


def test_what_is_warm_is_given_out_once_and_refilled_and_a_run_makes_no_container(bench: Bench) -> None:
    one(bench, SAYS)
    assert "1 container started and waiting" in hawse("warm", bench.pipeline).stderr
    (line,) = kept()
    assert (line["waiting"], line["wanted"], line["lent"]) == (1, 1, 0)
    waited, warm_ns = where(line), time.monotonic_ns()
    run = bench.run_ok()
    (start,) = said(run)
    assert [start["host"]] == waited and start["imported_at"] < warm_ns, "it was started and imported before the run"
    assert "create" not in run.node("node")["phases_ms"] and "fork" in run.node("node")["phases_ms"]
    wait_for(lambda: kept()[0]["waiting"] == 1, "another one waits")
    assert where(kept()[0]) != waited
    wait_for(lambda: waited[0] not in str(containers()), "the one that was used is gone")
    assert "1 that waited is ended" in hawse("warm", "--stop", bench.pipeline).stdout
    assert kept() == [] and containers() == []


def test_what_waits_is_thrown_away_when_the_code_changes(bench: Bench) -> None:
    one(bench, SAYS)
    hawse("warm", bench.pipeline)
    before = where(kept()[0])
    bench.nodes(SAYS.replace('"pid": os.getpid()', '"pid": "new"'))
    (start,) = said(bench.run_ok())
    assert start["pid"] == "new" and start["host"] not in before
    wait_for(lambda: kept()[0]["waiting"] == 1 and where(kept()[0]) != before, "one of the new code waits")
    (start,) = said(bench.run_ok())
    assert start["pid"] == "new"


def test_two_pipelines_alike_in_everything_never_have_the_same_container(bench: Bench) -> None:
    one(bench, SAYS)
    hawse("warm", bench.pipeline)
    other = bench.folder / "other.yaml"
    other.write_text(bench.pipeline.read_text())
    (start,) = said(bench.run_ok(pipeline=other))
    (line,) = kept()
    assert line["pipeline"] == str(bench.pipeline) and line["waiting"] == 1 and start["host"] not in where(line)


def test_a_pool_fills_by_itself_and_a_limit_is_told_of_a_warm_node(bench: Bench) -> None:
    one(bench, SAYS.replace("None: ...", "None:\n            if tensor.sequence == 2:\n                self.kept = [bytearray(4 << 20) for _ in range(100)]"), pool=2, limits={"memory": "96MiB"})
    assert bench.run().code == 5
    wait_for(lambda: kept()[0]["waiting"] == 2, "two wait")
    run = bench.run()
    (failure,) = run.of("failure")
    assert failure["kind"] == "out of memory" and failure["limit_bytes"] == 96 << 20 and failure["peak_bytes"] > 80 << 20
    assert "create" not in run.node("node")["phases_ms"], "it was warm"


ENDLESS = """
    import json, os, time
    class Node(hawse.Node):
        def setup(self) -> None:
            print(json.dumps({"host": os.uname().nodename, "pid": os.getpid()}), flush=True)
        def process(self, tensor: hawse.Tensor) -> None:
            if os.path.exists("/tmp/end-" + str(os.getpid())):
                os._exit(1)
"""


class Going:
    """A run that goes on until it is stopped."""

    def __init__(self, bench: Bench, pipeline: pathlib.Path | None = None) -> None:
        self.bench = bench
        self.process = bench.start(pipeline=pipeline)
        self.pid = 0  # of its node, as its container counts
        self.host: str = self.wait_for_start()["host"]

    def wait_for_start(self) -> dict[str, typing.Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "log" and event["text"].startswith("{"):
                start = json.loads(event["text"])
                self.pid = start["pid"]
                return start  # type: ignore[no-any-return]
        pytest.fail(f"it never ran: {self.process.stderr.read() if self.process.stderr else ''}")

    def crash(self, note: str) -> None:
        """Its node, and no other of that container; it starts again there."""
        subprocess.run(["docker", "exec", self.host, "touch", f"/tmp/end-{self.pid}"], check=True, capture_output=True)
        assert self.wait_for_start()["host"] == self.host, note

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.bench.finish(self.process).code == 130

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def endless(bench: Bench, **more: object) -> Bench:
    one(bench, ENDLESS, **more)
    manifest = json.loads(bench.pipeline.read_text())
    manifest["nodes"]["source"]["params"] = {"count": 0, "rate_hz": 50, "shape": [16]}
    bench.write(manifest)
    return bench


def test_a_killed_session_leaves_nothing_of_the_warm_container_that_it_had(bench: Bench) -> None:
    endless(bench)
    hawse("warm", bench.pipeline)
    (had,) = where(kept()[0])
    going = Going(bench)
    assert going.host == had and kept()[0]["lent"] == 1
    going.kill()
    wait_for(lambda: kept()[0]["lent"] == 0 and had not in str(containers()), "it is removed")


def test_a_killed_keeper_takes_what_waited_along(bench: Bench) -> None:
    one(bench, SAYS)
    hawse("warm", bench.pipeline)
    (had,) = where(kept()[0])
    keeper = int((RUN_DIR / "keeper" / "owner").read_text().split()[0])
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not pathlib.Path(f"/proc/{keeper}").exists(), "it is dead")
    wait_for(lambda: had not in str(containers("running")), "its container ends by itself")
    (start,) = said(bench.run_ok())
    assert start["host"] != had
    wait_for(lambda: containers() == [] and not (RUN_DIR / "keeper").exists(), "the next session has swept the rest")


def test_sessions_share_one_container_and_the_last_takes_it_along(bench: Bench) -> None:
    endless(bench, share=True, restart=RESTART)
    other = bench.folder / "other.yaml"
    other.write_text(bench.pipeline.read_text())
    a, b = Going(bench), Going(bench, other)
    assert a.host == b.host and len(containers()) == 1
    assert [line["sessions"] for line in kept()] == [2]
    a.kill()
    wait_for(lambda: [line["sessions"] for line in kept()] == [1], "it has left")
    assert b.process.poll() is None and len(containers("running")) == 1
    c = Going(bench)
    assert c.host == b.host
    # The container's death is each sharer's failure, and both go on in one new container.
    subprocess.run(["docker", "kill", b.host], check=True, capture_output=True)
    new = {going.wait_for_start()["host"] for going in (b, c)}
    assert len(new) == 1 and b.host not in new
    b.stop()
    c.stop()
    wait_for(lambda: containers() == [], "the last one took it along")


# A hostile node has kept the zygote's socket, on which the keeper listens, from its import.
HOSTILE = """
    import json, os, socket
    zygote = socket.socket(fileno=os.dup(3))
    class Node(hawse.Node):
        def setup(self) -> None:
            for words in WORDS:
                zygote.send(words)
        def process(self, tensor: hawse.Tensor) -> None: ...
"""


@pytest.mark.parametrize(("words", "code"), [
    ("[b'[]', b'1', b'null', b'{', bytes(range(256)), b'{\"type\":1}', b'{\"type\":{}}', b'{\"type\":\"reaped\",\"number\":[]}', b'{\"type\":\"reaped\",\"number\":-1}']", 0),
    ("[b'{\"type\":\"reaped\",\"number\":1,\"x\":' + 32000 * b'[' + 32000 * b']' + b'}']", 5),  # it has reaped its own start; nested as deep as a message can be
])
def test_a_shared_node_that_says_anything_to_the_keeper_harms_nobody_else(bench: Bench, words: str, code: int) -> None:
    endless(bench, share=True)
    keeps = bench.pipeline.rename(bench.folder / "endless.yaml")
    bench.nodes(ENDLESS)
    (bench.folder / "nodes.py").rename(bench.folder / "endless.py")
    keeps.write_text(keeps.read_text().replace("nodes.py", "endless.py"))
    going = Going(bench, keeps)
    keeper = (RUN_DIR / "keeper" / "owner").read_text()
    one(bench, HOSTILE.replace("WORDS", words), share=True)
    assert bench.run().code == code
    one(bench, HOSTILE.replace("WORDS", "[]") + "    zygote.send(b'[]')\n", share=True)  # as it is imported
    assert bench.run().code == 5
    assert (RUN_DIR / "keeper" / "owner").read_text() == keeper and pathlib.Path(f"/proc/{keeper.split()[0]}").exists()
    assert going.process.poll() is None and [line.get("sessions") for line in kept()] == [1]
    going.stop()


def test_sharers_that_join_leave_and_crash_at_the_same_time_never_harm_each_other(bench: Bench) -> None:
    """HAWSE_STORM_S: for how long; a few rounds otherwise. HAWSE_SEED repeats one."""
    endless(bench, share=True, restart={"on": "failure", "attempts": 1000, "backoff": "1ms"})
    seed = int(os.environ.get("HAWSE_SEED", random.randrange(1 << 30)))
    choice = random.Random(seed)
    end = time.monotonic() + float(os.environ.get("HAWSE_STORM_S", "0"))
    with contextlib.ExitStack() as stack:
        going: list[Going] = []
        stack.callback(lambda: [one.kill() for one in going])
        round_number = 0
        while round_number < 4 or time.monotonic() < end:
            round_number += 1
            starting = [bench.start() for _ in range(choice.randint(1, 2))]
            for one_of in going[:]:
                how = choice.choice(["stay", "kill", "stop", "crash"])
                if how == "crash":
                    one_of.crash(f"HAWSE_SEED={seed}")
                elif how != "stay":
                    going.remove(one_of)
                    getattr(one_of, how)()
            for process in starting:
                joined = Going.__new__(Going)
                joined.bench, joined.process = bench, process
                joined.host = joined.wait_for_start()["host"]
                going.append(joined)
            for one_of in going:
                assert one_of.process.poll() is None, f"HAWSE_SEED={seed}: {one_of.process.communicate()}"
            wait_for(lambda: len(containers("running")) <= 1, f"one container: HAWSE_SEED={seed}")  # of one that all have left the engine takes a moment
        for one_of in going[:]:
            going.remove(one_of)
            one_of.stop()
    wait_for(lambda: containers() == [], "the last one took it along")


@pytest.mark.parametrize(("node", "more", "finding"), [
    ("nodes.py:Node", {"pool": 1, "fork": False}, "pool: and fork: false can't go together in node 'node'"),
    ("nodes.py:Node", {"share": True, "fork": False}, "share: and fork: false can't go together in node 'node'"),
    ("nodes.py:Node", {"share": True, "pool": 1}, "pool: has no meaning beside share: true in node 'node'"),
    ("test/sink", {"pool": 1}, "pool: has no meaning for node 'node': it is a stock node"),
])
def test_a_pool_where_nothing_can_be_forked_is_a_finding_with_its_place(bench: Bench, node: str, more: dict[str, object], finding: str) -> None:
    one(bench, SAYS, **more)
    manifest = json.loads(bench.pipeline.read_text())
    manifest["nodes"]["node"]["node"] = node
    if node == "test/sink":
        del manifest["nodes"]["node"]["executor"], manifest["nodes"]["node"]["container"]
    bench.write(manifest)
    checked = subprocess.run([HAWSE, "check", bench.pipeline], capture_output=True, text=True)
    assert checked.returncode == 3 and f"pipeline.yaml:1:" in checked.stderr and finding in checked.stderr
