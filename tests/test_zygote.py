# SPDX-License-Identifier: Apache-2.0
"""Python nodes that are forked from a zygote: as quick as a fork, and otherwise as if each had an interpreter of its own."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from harness import Bench, Run, assert_nothing_left, left_behind

SINK = {"node": "test/sink"}


def two(bench: Bench, source: str, **more: object) -> dict[str, object]:
    """A manifest with the nodes a and b of one module, class Node, fed by one source."""
    bench.nodes(source)
    node = {"node": "nodes.py:Node", **more}
    return {"nodes": {"source": {"node": "test/source", "params": {"count": 3, "shape": [16]}}, "a": node, "b": node},
            "edges": ["source -> a", "source -> b"]}


def said(run: Run, node: str) -> dict[str, object]:
    return json.loads(next(line for line in run.log(node) if line.startswith("{")))


def test_nodes_of_one_module_are_forked_from_one_process_that_imported_it_once(bench: Bench) -> None:
    bench.write(two(bench, """
        import json, os
        print("imported by", os.getpid())
        class Node(hawse.Node):
            def setup(self) -> None:
                print(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0), "cgroup": open("/proc/self/cgroup").read()}))
            def process(self, tensor: hawse.Tensor) -> None: ...
    """))
    run = bench.run_ok()
    a, b = said(run, "a"), said(run, "b")
    imports = [line for line in run.log("a") + run.log("b") if line.startswith("imported by")]
    assert imports == [f"imported by {a['parent']}"] and a["parent"] == b["parent"]
    for name, node in (("a", a), ("b", b)):
        assert node["session"] == node["pid"] and run.node(name)["where"] == f"process {node['pid']}"
        assert {"interpreter", "import", "fork", "setup", "total"} <= set(run.node(name)["phases_ms"])
        if run.node(name)["memory_peak_bytes"] and "hawse-" in str(a["cgroup"]):
            assert f"-{name}-1" in str(node["cgroup"]), "a control group of its own"


def test_a_node_alone_and_one_that_says_fork_false_start_an_interpreter(bench: Bench) -> None:
    source = """
        import os
        class Node(hawse.Node):
            def setup(self) -> None:
                print(open(f"/proc/{os.getppid()}/comm").read().strip())
            def process(self, tensor: hawse.Tensor) -> None: ...
    """
    manifest = two(bench, source, fork=False)
    bench.write(manifest)
    run = bench.run_ok()
    assert run.log("a") == run.log("b") == ["hawse"]
    manifest = two(bench, source)
    del manifest["nodes"]["b"], manifest["edges"][1]  # type: ignore[attr-defined]
    bench.write(manifest)
    assert bench.run_ok().log("a") == ["hawse"]


def test_an_import_that_fails_is_each_nodes_own_failure(bench: Bench) -> None:
    bench.write(two(bench, """
        def deeper():
            raise KeyError("not here")
        deeper()
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """))
    run = bench.run()
    assert run.code == 5
    failure = (run.of("failure", "a") + run.of("failure", "b"))[0]
    assert failure["text"] == "failed in import: KeyError: 'not here'" and failure["phase"] == "import"
    assert 'nodes.py", line 4, in deeper' in failure["traceback"] and "_zygote.py" not in failure["traceback"] and "_host.py" not in failure["traceback"]


@pytest.mark.parametrize(("how", "text"), [("os._exit(3)", "exited with code 3"), ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal 11")])
def test_an_import_that_ends_the_process_is_told_as_the_nodes_end(bench: Bench, how: str, text: str) -> None:
    bench.write(two(bench, f"""
        import os, signal, sys
        print("about to", file=sys.stderr)
        {how}
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """))
    run = bench.run()
    assert run.code == 5
    failures = run.of("failure", "a") + run.of("failure", "b")
    assert failures[0]["text"].startswith(text)
    assert "about to" in run.log("a") + run.log("b")


def test_an_import_that_hangs_meets_the_start_timeout(bench: Bench) -> None:
    bench.write(two(bench, """
        import time
        print("waiting", flush=True)
        time.sleep(1000)
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """, start_timeout="1s"))
    run = bench.run()
    assert run.code == 5
    failures = run.of("failure", "a") + run.of("failure", "b")
    assert failures[0]["text"] == "did not become ready within 1 s"
    assert "waiting" in run.log("a") + run.log("b")


def test_an_import_over_the_memory_limit_is_told_as_that(bench: Bench) -> None:
    bench.write(two(bench, """
        kept = bytearray(512 << 20)
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """, limits={"memory": "96MiB"}))
    run = bench.run()
    assert run.code == 5
    failure = (run.of("failure", "a") + run.of("failure", "b"))[0]
    if failure["kind"] == "exception":
        assert "MemoryError" in failure["text"], "no control group can be made here: rlimits, without a zygote"
        return
    assert failure["kind"] == "out of memory" and failure["limit_bytes"] == 96 << 20


def test_a_module_that_leaves_threads_running_is_not_forked_and_named_once(bench: Bench) -> None:
    bench.write(two(bench, """
        import os, threading, time
        thread = threading.Thread(target=time.sleep, args=(1000,), daemon=True)
        thread.start()
        class Node(hawse.Node):
            def setup(self) -> None:
                print(thread.is_alive(), len(os.listdir("/proc/self/task")) >= 2, open(f"/proc/{os.getppid()}/comm").read().strip())
            def process(self, tensor: hawse.Tensor) -> None: ...
    """))
    run = bench.run_ok()
    (notice,) = run.of("notice")
    assert notice["text"].startswith("nodes.py leaves threads running when it is imported (")
    assert run.log("a")[-1] == run.log("b")[-1] == "True True hawse"


def test_random_numbers_differ_from_fork_to_fork(bench: Bench) -> None:
    bench.write(two(bench, """
        import json, random
        import numpy
        class Node(hawse.Node):
            def setup(self) -> None:
                print(json.dumps([random.random(), numpy.random.random()]))
            def process(self, tensor: hawse.Tensor) -> None: ...
    """, python={"packages": ["numpy"]}))
    run = bench.run_ok()
    assert run.of("notice") == [], "NumPy's own threads put themselves away"
    a, b = (json.loads(run.log(name)[-1]) for name in "ab")
    assert a[0] != b[0] and a[1] != b[1]
    assert "fork" in run.node("a")["phases_ms"]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_forked_node_has_the_descriptors_environment_and_folder_of_one_that_is_not(bench: Bench, ahead: bool) -> None:
    source = """
        import json, os, signal
        kept = open(__file__)
        class Node(hawse.Node):
            def setup(self, again: bool) -> None:
                if again and not os.path.exists(self.id):
                    open(self.id, "w").close()
                    raise RuntimeError("the second start is that of the one forked ahead")
                descriptors = [os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in sorted(os.listdir("/proc/self/fd"), key=int) if os.path.exists(f"/proc/self/fd/{fd}")]
                blocked = [line for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn", "SigCgt", "Umask"))]
                print(json.dumps({"descriptors": sorted(descriptors), "environment": dict(os.environ), "folder": os.getcwd(), "blocked": blocked, "open": kept.readable()}))
            def process(self, tensor: hawse.Tensor) -> None: ...
    """
    more = {"restart": {"on": "failure", "backoff": "100ms"}} if ahead else {}
    bench.write(two(bench, source, env={"GIVEN": "yes"}, params={"again": ahead}, **more))
    forked = bench.run_ok()
    bench.write(two(bench, source, env={"GIVEN": "yes"}, params={"again": False}, fork=False))
    own = bench.run_ok()
    assert said(forked, "a") == said(own, "a")
    assert said(forked, "a")["environment"]["GIVEN"] == "yes"  # type: ignore[index]


def test_a_restart_is_a_fork_of_the_same_zygote_and_every_end_is_told(bench: Bench) -> None:
    bench.nodes("""
        import os, signal
        print("imported")
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("parent", os.getppid())
                if tensor.sequence == 2 and not tensor.given_again:
                    os.kill(os.getpid(), signal.SIGABRT)
                if tensor.sequence == 4 and not os.path.exists("once"):
                    open("once", "w").close()
                    os._exit(9)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 5, "shape": [16]}},
                           "node": {"node": "nodes.py:Node", "restart": {"on": "failure", "attempts": 3, "backoff": "1ms"}}}, "edges": ["source -> node"]})
    run = bench.run_ok()
    assert [f["text"].split(" (")[0] for f in run.of("failure")] == ["was ended by signal 6", "exited with code 9"]
    assert run.log("node").count("imported") == 1
    assert len({line for line in run.log("node") if line.startswith("parent")}) == 1
    phases = run.node("node")["phases_ms"]
    assert phases["interpreter"] == 0 and "fork" in phases, "the last start waited for no interpreter"


ENDLESS = """
    import os, time
    class Node(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> None:
            print("zygote", os.getppid(), flush=True)
            time.sleep(0.02)
"""


def endless(bench: Bench, **more: object) -> "tuple[subprocess.Popen[str], int]":
    """A run that goes on, and its zygote."""
    manifest = two(bench, ENDLESS, **more)
    manifest["nodes"]["source"]["params"] = {"rate_hz": 50, "shape": [16]}  # type: ignore[index]
    bench.write(manifest)
    process = bench.start()
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "log" and event["text"].startswith("zygote"):
            return process, int(event["text"].split()[1])
    pytest.fail("it never ran")


def test_a_killed_zygote_takes_its_nodes_along_and_they_start_again(bench: Bench) -> None:
    process, zygote = endless(bench, restart={"on": "failure", "attempts": 3, "backoff": "1ms"})
    os.kill(zygote, signal.SIGKILL)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "failure":
            assert event["kind"] == "lost" and f"its zygote (process {zygote}) was ended by signal 9" in event["text"] and event["restarting"]
        if event["event"] == "log" and event["text"].startswith("zygote") and int(event["text"].split()[1]) != zygote:
            break
    process.send_signal(signal.SIGINT)
    assert bench.finish(process).code == 130


@pytest.mark.parametrize("stopped", [False, True])
def test_zygote_and_nodes_end_when_the_runtime_is_killed(bench: Bench, stopped: bool) -> None:
    process, zygote = endless(bench)
    if stopped:
        os.kill(zygote, signal.SIGSTOP)
    process.kill()
    process.communicate()
    ended = time.monotonic() + 2
    while pathlib.Path(f"/proc/{zygote}").exists() and time.monotonic() < ended:
        time.sleep(0.01)
    assert not any(str(zygote) == line.split()[0] for line in left_behind()["processes"])
    assert_nothing_left()
