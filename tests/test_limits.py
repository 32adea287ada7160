# SPDX-License-Identifier: Apache-2.0
"""Every limit of a node, met for real: it holds, and the run says which one it was, of which node, with the peak and the attempt."""
from __future__ import annotations

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import typing

import pytest
from harness import EXECUTORS, HAWSE, Bench, Run, hawse, json_lines, needs_engine, wait_for

ONE_AND_TWO = {"on": "failure", "attempts": 2, "backoff": "10ms", "poison_after": 0}


def write(bench: Bench, body: str, executor: str, limits: dict[str, typing.Any], top: dict[str, typing.Any] | None = None, **node: typing.Any) -> None:
    """A node whose process() is `body`, in front of it a source of one frame."""
    lines = "".join(f"                {line}\n" for line in body.strip().splitlines())
    bench.nodes(f"""
        import os, subprocess, sys, time
        class Meets(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
{lines}
    """)
    bench.write({**(top or {}), "nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}},
                                          "meets": {"node": "nodes.py:Meets", "executor": executor, "limits": limits, **node}}, "edges": ["source -> meets"]})


def met(run: Run, limit: str) -> dict[str, typing.Any]:
    return next(notice for notice in run.of("notice", "meets") if notice.get("limit") == limit)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_that_is_killed_for_want_of_memory_is_named_with_limit_peak_and_attempt(executor: str, bench: Bench) -> None:
    write(bench, "self.kept = bytearray(512 << 20)", executor, {"memory": "96MiB"}, restart=ONE_AND_TWO)
    done = hawse("run", bench.pipeline)
    assert done.returncode == 5
    for attempt in (1, 2):
        assert [line for line in done.stderr.splitlines() if " meets met its memory limit: 96 MiB, peak " in line and line.endswith(f" MiB, killed; attempt {attempt} of 2")]
    assert done.stderr.splitlines()[-1].startswith("hawse: meets met its memory limit: 96 MiB, peak ") and done.stderr.rstrip().endswith("; attempt 2 of 2")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_child_that_is_killed_for_want_of_memory_is_told_while_the_node_lives(executor: str, bench: Bench) -> None:
    write(bench, """
child = subprocess.run([sys.executable, "-c", "bytearray(512 << 20)"])
print("child:", child.returncode)
time.sleep(0.3)
""", executor, {"memory": "96MiB"}, restart=ONE_AND_TWO)
    run = bench.run_ok()
    assert run.log("meets") == ["child: -9"]
    notice = met(run, "memory")
    assert notice["limit_bytes"] == 96 << 20 and 64 << 20 < notice["peak_bytes"] <= 96 << 20
    assert notice["text"].startswith("met its memory limit: 96 MiB, peak ") and notice["text"].endswith("was killed; attempt 1 of 2")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_processes_that_are_refused_are_told(executor: str, bench: Bench) -> None:
    write(bench, """
children = []
try:
    for _ in range(64):
        children.append(subprocess.Popen(["sleep", "60"]))
except OSError as error:
    print("refused:", error.errno, len(children) < 16)
time.sleep(0.3)
for child in children:
    child.kill()
    child.wait()
""", executor, {"pids": 16})
    run = bench.run_ok()
    assert run.log("meets") == ["refused: 11 True"]
    notice = met(run, "pids")
    assert notice["text"].startswith("met its pids limit: 16 processes and threads, peak 16, ") and "attempt" not in notice["text"]
    assert notice["refused"] >= 1 and run.node("meets")["pids_refused"] >= notice["refused"]


# Perl forks several times as fast as Python; the node in front of it shall get at a processor, too.
BOMB = 'use POSIX "setsid"; setpriority 0, 0, 19; $SIG{CHLD} = "IGNORE"; while (1) { $pid = fork; setsid if defined $pid && !$pid }'


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("then", "code"), [("return", 0), ("os.kill(os.getpid(), 9)", 5), ("time.sleep(1000)", 130)], ids=["returns", "dies", "is killed"])
def test_a_fork_bomb_ends_with_its_node(executor: str, then: str, code: int, bench: Bench) -> None:
    """Each of its processes has a session of its own, and for each that is killed others take its place."""
    mark = f"bomb-{os.getpid()}-{bench.folder.name}"
    write(bench, f"""
subprocess.Popen(["perl", "-e", {BOMB!r}, "{mark}"])
try:
    while True:
        subprocess.run(["true"])
except OSError:
    print("is full")
{then}
""", executor, {"pids": 200}, top={"grace": "200ms"})
    process = bench.start()
    for line in process.stdout:  # type: ignore[union-attr]
        if "is full" in line:
            break
    if code == 130:
        process.send_signal(signal.SIGINT)
    run = bench.finish(process)
    assert run.code == code, run.stderr
    assert run.node("meets")["pids_refused"] > 0
    wait_for(lambda: not subprocess.run(["pgrep", "-f", mark], capture_output=True).stdout, "the end of every process of the bomb")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_that_its_cpu_share_holds_back_is_told_and_counted(executor: str, bench: Bench) -> None:
    write(bench, """
end = time.monotonic() + 1
while time.monotonic() < end:
    pass
""", executor, {"cpus": 0.2})
    run = bench.run_ok()
    assert met(run, "cpus")["text"].startswith("met its CPU limit: 0.2 CPUs, held back for ")
    assert run.node("meets")["held_back_s"] > 0.3
    table = hawse("run", bench.pipeline).stderr
    assert "limits by" in table and ", CPU held back " in table


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_peak_of_a_node_that_the_grace_period_ends_is_kept(executor: str, bench: Bench) -> None:
    write(bench, """
self.kept = bytearray(b"x") * (48 << 20)
print("holds it")
while True:
    time.sleep(60)
""", executor, {"memory": "256MiB"}, top={"grace": "200ms"})
    process = bench.start()
    for line in process.stdout:  # type: ignore[union-attr]
        if "holds it" in line:
            break
    process.send_signal(signal.SIGINT)
    run = bench.finish(process)
    assert any("grace period" in notice["text"] for notice in run.of("notice", "meets"))
    assert 48 << 20 < run.node("meets")["memory_peak_bytes"] < 256 << 20


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_file_does_not_grow_beyond_its_limit(executor: str, bench: Bench) -> None:
    write(bench, """
with open("/tmp/hawse-limit-%d" % os.getpid(), "wb", buffering=0) as file:
    os.unlink(file.name)
    try:
        while True:
            file.write(bytes(1 << 16))
    except OSError as error:
        print(error.errno, os.fstat(file.fileno()).st_size)
""", executor, {"file": "1MiB"})
    assert bench.run_ok().log("meets") == [f"27 {1 << 20}"]


@needs_engine
def test_a_container_has_as_much_shared_memory_of_its_own_as_it_is_given(bench: Bench) -> None:
    write(bench, """
size = 0
with open("/dev/shm/x", "wb", buffering=0) as file:
    try:
        while size < 64 << 20:
            size += file.write(bytes(1 << 16))
    except OSError as error:
        print(error.errno, size)
""", "container", {"shm": "1MiB"})
    assert bench.run_ok().log("meets") == [f"28 {1 << 20}"]


def test_memory_is_limited_with_swap_and_beside_an_arena_that_counts(bench: Bench) -> None:
    """Read from the node's own control group."""
    write(bench, """
for line in open("/proc/self/cgroup"):
    number, controllers, place = line.rstrip().split(":", 2)
    for folder, limit, swap in (("memory" + place, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), (place, "memory.max", "memory.swap.max")):
        folder = "/sys/fs/cgroup/" + folder
        if "/hawse-" in folder and os.path.exists(folder + "/" + limit):
            print(*(open(folder + "/" + name).read().strip() if os.path.exists(folder + "/" + name) else "none" for name in (limit, swap)))
""", "process", {"memory": "128MiB", "arena": "32MiB", "arena_of": "node"})
    run = bench.run_ok()
    if not run.node("meets")["limits_by"].startswith("cgroup"):
        pytest.skip("no control group can be made here")
    limit, swap = run.log("meets")[0].split()
    assert int(limit) == 96 << 20
    assert swap in ("none", str(96 << 20) if "v1" in run.node("meets")["limits_by"] else "0")
    assert run.node("meets")["memory_limit_bytes"] == 96 << 20


@needs_engine
def test_an_arena_that_counts_leaves_a_container_the_rest(bench: Bench) -> None:
    write(bench, "self.kept = bytearray(b'x') * (100 << 20)", "container", {"memory": "128MiB", "arena": "64MiB", "arena_of": "node"})
    (failure,) = bench.run().of("failure", "meets")
    assert failure["limit_bytes"] == 64 << 20 and "its arena counts, too: of 128 MiB it takes 64 MiB" in failure["hint"]


@pytest.mark.parametrize(("limits", "says"), [
    ({"memory": "128MiB", "arena": "256MiB"}, "its arena (256 MiB) doesn't fit its memory (128 MiB)"),
    ({"memory": "128MiB"}, "its arena (2 GiB, as arena: isn't given) doesn't fit its memory (128 MiB)"),
    ({"arena": "256MiB"}, "arena_of: node counts the arena within memory:, and there is none"),
])
def test_an_arena_that_cannot_fit_is_refused_before_anything_starts(bench: Bench, limits: dict[str, str], says: str) -> None:
    write(bench, "pass", "process", {})
    keys = "".join(f"\n      {key}: {value}" for key, value in {**limits, "arena_of": "node"}.items())
    bench.write(f"""version: 1
nodes:
  source: {{node: test/source, params: {{count: 1, shape: [4]}}}}
  meets:
    node: nodes.py:Meets
    limits:{keys}
edges: [source -> meets]
""")
    refused = hawse("run", bench.pipeline)
    assert refused.returncode == 3 and "nothing was started" in refused.stderr
    line = next(line for line in refused.stderr.splitlines() if says in line)
    assert "pipeline.yaml:" in line and "node 'meets'" in line, line


def without_groups(bench: Bench, mount: str, *command: str) -> subprocess.CompletedProcess[str]:
    """In a mount namespace where /sys/fs/cgroup is something else."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can hide the control groups")
    return subprocess.run(["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", str(HAWSE), *command], capture_output=True, text=True, cwd=bench.folder, timeout=300)


HIDDEN = [pytest.param("mount -t tmpfs none /sys/fs/cgroup", id="no hierarchy")]
if pathlib.Path("/sys/fs/cgroup/unified/cgroup.controllers").exists():
    HIDDEN.append(pytest.param("mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup", id="v2 that has no controllers for us"))


@pytest.mark.parametrize("mount", HIDDEN)
def test_where_no_group_can_be_made_rlimits_hold_and_run_and_doctor_say_so(bench: Bench, mount: str) -> None:
    write(bench, """
try:
    self.kept = bytearray(1024 << 20)
except MemoryError:
    print("no memory")
""", "process", {"memory": "512MiB", "cpus": 0.5})
    done = without_groups(bench, mount, "run", str(bench.pipeline))
    assert done.returncode == 0 and "stdout | no memory" in done.stderr, done.stderr
    assert "rlimit (cpus not limited: " in done.stderr.split("limits by")[1]
    doctor = without_groups(bench, mount, "doctor").stdout
    assert "setrlimit: memory as address space" in doctor and "cpus not at all" in doctor


# Where the runtime may be started under cgroup v2, whether by root, who passes on what, and what holds the limits then.
PLACES = {
    "a session of root's": ("scope", True, "+memory +pids +cpu", "cgroup v2"),
    "below what is delegated to a user": ("leaf", False, "+memory +pids +cpu", "cgroup v2"),
    "below what is delegated without cpu": ("leaf", False, "+memory +pids", "cgroup v2 (cpus not limited: "),
    "right in what is delegated": ("", False, "", "rlimit (cpus not limited: "),
}


@pytest.mark.skipif(os.geteuid() != 0 or not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="needs root and control groups of version 2 (tools/test_cgroup2)")
@pytest.mark.parametrize("place", PLACES)
def test_under_v2_nodes_start_wherever_the_runtime_is_and_have_the_limits_that_can_be_had(place: str, bench: Bench) -> None:
    below, root, passed_on, by = PLACES[place]
    upper, own = pathlib.Path("/sys/fs/cgroup/test-of-places"), pathlib.Path("/sys/fs/cgroup/test-of-places/given", below)
    home = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))  # which another user may enter
    own.mkdir(parents=True)
    try:
        if passed_on:
            (upper / "cgroup.subtree_control").write_text(passed_on)
        user = [] if root else ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        for folder in (home, own.parent, own) if not root and below else (home, own):
            for path in (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control"):
                if path.exists() and not root:
                    os.chown(path, 65534, 65534)
        for number, limits in enumerate(({}, {"pids": 64}, {"pids": 64, "memory": "512MiB", "cpus": 0.5})):
            write(bench, "self.kept = bytearray(b'x') * (24 << 20)", "process", limits)
            for file in ("nodes.py", "pipeline.yaml"):
                shutil.copy(bench.folder / file, home)
            done = subprocess.run(["sh", "-c", f'echo $$ >{own}/cgroup.procs && exec "$@"', "sh", *user, "env", f"HOME={home}", f"HAWSE_RUN={home}/run", f"HAWSE_STATE={home}/state", str(HAWSE), "run",
                                   "--json", str(home / "pipeline.yaml")], capture_output=True, text=True, cwd=home, timeout=300)
            run = Run(done.returncode, json_lines(done.stdout, '"event"'), done.stderr)
            assert run.code == 0, (limits, run.stderr)
            said = run.node("meets")["limits_by"]
            assert said == "" if number == 0 else said.startswith(by.split()[0]) if number == 1 else said.startswith(by), said
            assert run.node("meets")["memory_peak_bytes"] > 24 << 20
            assert (own / "cgroup.type").read_text() == "domain\n"
    finally:
        shutil.rmtree(home)
        for folder in dict.fromkeys((own, upper / "given", upper)):
            folder.rmdir()


def test_doctor_says_what_holds_the_limits_of_processes() -> None:
    assert "limits of processes" in hawse("doctor").stdout


@needs_engine
def test_a_gpu_that_is_not_there_is_an_error_that_says_what_is_missing(bench: Bench) -> None:
    write(bench, "pass", "container", {}, container={"gpus": "all", "packages": ["no-such-package-at-all"]}, restart={"on": "failure", "attempts": 3, "backoff": 0})
    run = bench.run()
    (failure,) = run.of("failure", "meets")
    if "no-such-package-at-all" in failure["text"]:
        pytest.skip("this machine has a GPU")
    assert "gpus: all was asked for, and the engine has no driver for GPUs" in failure["text"]
    assert "nvidia-container-toolkit" in failure["hint"]


@needs_engine
def test_the_processes_that_every_container_has_are_a_limit_that_is_shown_and_told(bench: Bench) -> None:
    write(bench, """
import threading, time
try:
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
except RuntimeError:
    time.sleep(1000)
""", "container", {})
    assert "pids 256 (the default)" in hawse("check", bench.pipeline).stdout
    run = bench.start()
    assert run.stdout is not None
    (told,) = itertools.islice((event for event in map(json.loads, run.stdout) if event["event"] == "notice"), 1)
    run.kill()
    bench.finish(run)
    assert told["node"] == "meets" and told["text"].startswith("met its pids limit: 256 processes and threads") and told["limit_pids"] == 256
