# SPDX-License-Identifier: Apache-2.0
"""What docs/trust.md says about a container node, tried from both sides: `docker inspect` from outside, every forbidden thing from inside."""
from __future__ import annotations

import json
import subprocess
import typing

import pytest
from harness import BRIDGE, CONTROL_GROUPS, PODMAN, Bench, hawse, needs_engine

pytestmark = needs_engine


def probe(bench: Bench, body: str, **node: object) -> str:
    """Runs `body` (a function tensor -> text) inside a container node, and gives what it said."""
    bench.nodes("""
        import os, socket, errno
        def attempt(action):
            try:
                return f"done: {action()!r}"
            except OSError as error:
                return errno.errorcode.get(error.errno, str(error))
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        class Probe(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("probe:", self.look(tensor))
    """ + body)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [64], "dtype": "uint8"}},
                           "probe": {"node": "nodes.py:Probe", "executor": "container", **node}}, "edges": ["source -> probe"]})
    (line,) = [x for x in bench.run_ok().log("probe") if x.startswith("probe: ")]
    return line.removeprefix("probe: ")


def test_docker_inspect_shows_every_restriction(bench: Bench) -> None:
    bench.nodes("""
        import time
        class Waits(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("waiting", flush=True)
                time.sleep(3)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}},
                           "waits": {"node": "nodes.py:Waits", "executor": "container", "limits": {"memory": "64MiB", "cpus": 0.5, "pids": 20}}},
                 "edges": ["source -> waits"]})
    process = bench.start()
    assert process.stdout is not None
    where = ""
    for line in process.stdout:
        event = json.loads(line)
        where = event.get("where", where) if event.get("node") == "waits" else where
        if event["event"] == "log" and event["text"] == "waiting":
            break
    container: dict[str, typing.Any] = json.loads(subprocess.run(["docker", "inspect", where.split()[1]], capture_output=True, text=True, check=True).stdout)[0]
    bench.finish(process)
    host, config = container["HostConfig"], container["Config"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    # Podman names what it gives containers one by one, and tells "none" otherwise; what is in force is tried from inside below.
    assert (PODMAN or host["CapDrop"] == ["ALL"]) and not host["CapAdd"]
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert host["Privileged"] is False
    assert config["User"] == "65534:65534"
    if CONTROL_GROUPS:  # else the run says that they don't hold (test_conformance.py)
        assert host["PidsLimit"] == 20
        assert host["Memory"] == host["MemorySwap"] == 64 << 20
        assert host["NanoCpus"] == 500_000_000
    assert (PODMAN or host["IpcMode"] == "none") and host["PidMode"] in ("", "private")
    assert not host["Devices"] and not host["DeviceRequests"]
    mounts = container["Mounts"]
    assert all(m["RW"] is False for m in mounts)
    assert {m["Destination"] for m in mounts} <= {"/hawse/socket", "/hawse/init", "/hawse/sdk", "/hawse/packages", "/hawse/code/nodes.py"}
    assert not any(m["Source"].startswith(("/dev/shm",)) or m["Source"] in ("/tmp", "/") for m in mounts)


def test_writing_into_an_input_ends_the_node_and_changes_nothing(bench: Bench) -> None:
    bench.nodes("""
        import ctypes, numpy
        class Writes(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                if not tensor.given_again:
                    address = tensor.array.__array_interface__["data"][0]
                    try:
                        tensor.array[0] = 77
                    except ValueError as error:
                        print("numpy:", error, flush=True)
                    ctypes.memset(address, 77, 8)
                print("after", tensor.array[0], flush=True)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [64], "dtype": "uint8"}},
                           "writes": {"node": "nodes.py:Writes", "executor": "container", "container": {"packages": ["numpy"]},
                                      "restart": {"on": "failure", "attempts": 2}},
                           "sink": {"node": "test/sink", "params": {"verify": True}}}, "edges": ["source -> writes", "source -> sink"]})
    run = bench.run_ok()
    (failure,) = run.of("failure", "writes")
    assert failure["kind"] == "signal" and failure["signal"] == 11
    printed = [e["text"] for e in run.of("log", "writes") if e["stream"] == "stdout"]
    assert printed == ["numpy: assignment destination is read-only", "after 1"]


def test_an_arena_cannot_be_reopened_for_writing(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                import mmap
                found = []
                for name in sorted(os.listdir("/proc/self/fd"), key=int):
                    try:
                        target = os.readlink("/proc/self/fd/" + name)
                        size = os.fstat(int(name)).st_size
                    except OSError:
                        continue
                    if "arena" not in target:
                        continue
                    found.append(attempt(lambda: os.open("/proc/self/fd/" + name, os.O_RDWR)))
                    found.append(attempt(lambda: os.pwrite(int(name), b"x", 0)))
                    found.append(attempt(lambda: os.ftruncate(int(name), 0)))
                    found.append(attempt(lambda: mmap.mmap(int(name), size)))
                maps = [line.split() for line in open("/proc/self/maps") if "arena" in line]
                found.append(["maps", sorted({m[1] for m in maps})])
                found.append(attempt(lambda: [os.open("/proc/self/map_files/" + m[0], os.O_RDWR) for m in maps]))
                return found
    """)
    assert "done" not in said, said
    assert "['maps', ['r--s']]" in said


def test_the_memory_of_another_edge_is_out_of_reach(bench: Bench) -> None:
    """A node holds no descriptor and no mapping but those of its own edges, and can read no other process."""
    bench.nodes("""
        import os
        def memory():
            return sorted({line.split("/memfd:")[1].split()[0] for line in open("/proc/self/maps") if "/memfd:" in line})
        class Secret(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
                out = self.output.like(tensor)
                return out
        class Spy(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                arenas = [line for line in open("/proc/self/maps") if "/memfd:" in line and "arena" in line]
                print("spy sees", len(arenas), "arenas,", len([p for p in os.listdir("/proc") if p.isdigit()]), "processes,", os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else "no shm", flush=True)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 3, "shape": [64]}},
                           "secret": {"node": "nodes.py:Secret", "executor": "container"},
                           "sink": {"node": "test/sink"},
                           "spy": {"node": "nodes.py:Spy", "executor": "container"}},
                 "edges": ["source -> secret -> sink", "source -> spy"]})
    lines = [x for x in bench.run_ok().log("spy") if x.startswith("spy sees")]
    assert lines == ["spy sees 1 arenas, 2 processes, no shm"] * 3


def test_there_is_no_network(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
                outside = attempt(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
                host = attempt(lambda: socket.create_connection(("172.17.0.1", 22), timeout=5))
                return interfaces, outside, host
    """)
    assert said == "(['lo'], 'ENETUNREACH', 'ENETUNREACH')"


def test_host_processes_are_out_of_sight(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                processes = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
                first = open("/proc/1/cmdline").read().split(chr(0))[0]
                return len(processes), first, attempt(lambda: os.kill(1, 9)), attempt(lambda: open("/proc/1/mem", "rb+"))
    """)
    # A signal to process 1 from inside is ignored by the kernel; the probe's own answer shows that it still runs.
    assert said == "(2, '/hawse/init', 'done: None', 'EACCES')"


def test_no_capability_can_be_gained(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                status = {line.split(":")[0]: line.split(":")[1].strip() for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs", "Seccomp:"))}
                zero = all(int(value, 16) == 0 for name, value in status.items() if name.startswith("Cap"))
                return zero, status["NoNewPrivs"], status["Seccomp"], attempt(lambda: os.setuid(0)), attempt(lambda: os.chroot("/")), attempt(lambda: os.mknod("/tmp/x", 0o60600, 0x0801))
    """)
    assert said == "(True, '1', '2', 'EPERM', 'EPERM', 'EPERM')"


def test_the_root_is_read_only_and_tmp_is_its_own(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                writes = [attempt(lambda: open(path, "w")) for path in ("/x", "/etc/passwd", "/hawse/code/nodes.py", "/hawse/sdk/x", "/usr/bin/x")]
                return writes, os.listdir("/tmp"), attempt(lambda: open("/tmp/mine", "w").write("x"))
    """)
    assert said.startswith("(['EROFS', 'EACCES', 'EACCES', 'EROFS', 'EROFS']") or set(said.split("[")[1].split("]")[0].replace("'", "").split(", ")) <= {"EROFS", "EACCES"}
    assert said.endswith("[], 'done: 1')")


def test_only_the_files_it_was_given_are_there(bench: Bench) -> None:
    (bench.folder / "secret.txt").write_text("not yours")
    said = probe(bench, """
            def look(self, tensor):
                return sorted(os.listdir("/hawse/code")), sorted(k for k in os.environ if "TOKEN" in k or "SECRET" in k)
    """)
    assert said == "(['nodes.py'], [])"


def test_what_the_manifest_opens_is_open_and_nothing_else(bench: Bench) -> None:
    shared = bench.folder / "shared"
    shared.mkdir()
    (shared / "in.txt").write_text("hello")
    said = probe(bench, """
            def look(self, tensor):
                read = open("/data/in.txt").read()
                interfaces = sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line)
                return read, attempt(lambda: open("/data/out.txt", "w")), "eth0" in interfaces, os.environ["GREETING"], os.getuid()
    """, container={"mounts": [f"{shared}:/data"], "network": "bridge" if BRIDGE else "none", "user": "1234:1234"}, env={"GREETING": "hi"})
    assert said == f"('hello', 'EROFS', {BRIDGE}, 'hi', 1234)"


@pytest.mark.skipif(not CONTROL_GROUPS, reason="this rootless engine was given no control groups")
def test_more_processes_than_allowed_are_refused(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                children = []
                for _ in range(100):
                    try:
                        pid = os.fork()
                    except OSError as error:
                        return errno.errorcode[error.errno], len(children) < 16
                    if pid == 0:
                        os.pause() if hasattr(os, "pause") else __import__("time").sleep(60)
                        os._exit(0)
                    children.append(pid)
                return "no limit"
    """, limits={"pids": 16})
    assert said == "('EAGAIN', True)"


def test_nothing_of_the_host_lies_in_shm_tmp_or_run(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                shm = os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []
                sockets = [p for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock") if os.path.exists(p)]
                return shm, os.listdir("/tmp"), sockets, sorted(os.listdir("/hawse"))
    """)
    assert said == "([], [], [], ['code', 'init', 'sdk', 'socket'])"


def test_another_connection_needs_a_token_that_is_not_used_up(bench: Bench) -> None:
    said = probe(bench, """
            def look(self, tensor):
                answers = []
                for first in ('{"type":"join","token":"0123456789abcdef0123456789abcdef","pid":1,"init":false}', '{"type":"join","token":"","pid":1}',
                              '{"type":"hello","protocol":1,"pid":1,"sdk":"x","language":"x"}', "garbage", "[]"):
                    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                        connection.connect("/hawse/socket")
                        connection.send(first.encode())
                        try:
                            answers.append(connection.recv(4096))
                        except ConnectionResetError:
                            answers.append(b"")
                return answers
    """)
    assert said == "[b'', b'', b'', b'', b'']"


def test_a_broken_control_message_ends_that_node_and_nothing_else(bench: Bench) -> None:
    bench.nodes("""
        import os
        class Breaks(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                os.write(3, b'{"type":"grow","port":99999,"slot_bytes":64,"slots":1}' if tensor.given_again else b"\\xff\\x00 no JSON")
                import time
                time.sleep(60)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 5, "shape": [4]}},
                           "breaks": {"node": "nodes.py:Breaks", "executor": "container", "restart": {"on": "failure", "attempts": 2, "backoff": "10ms", "poison_after": 0}},
                           "sink": {"node": "test/sink", "params": {"verify": True}}}, "edges": ["source -> breaks", "source -> sink"]})
    run = bench.run()
    assert run.code == 5
    assert [f["text"] for f in run.of("failure", "breaks")] == ["broke the control protocol: not JSON", "broke the control protocol: no port 99999"]
    assert run.edge("source", "sink")["received"] == 5


def test_what_a_node_prints_cannot_drive_the_terminal(bench: Bench) -> None:
    bench.nodes("""
        class Prints(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("\\x1b[2J\\x1b]0;mine\\x07")
                self.log.info("\\x1b[31mred")
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}}, "prints": {"node": "nodes.py:Prints", "executor": "container"}},
                 "edges": ["source -> prints"]})
    done = hawse("run", bench.pipeline)
    assert done.returncode == 0 and "red" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr
