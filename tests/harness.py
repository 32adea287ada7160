# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the command, real pipelines in a folder of their own, and a count of what a run left behind."""
from __future__ import annotations

import atexit
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import textwrap
import time
import typing

import podman_engine
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HAWSE = pathlib.Path(os.environ.get("HAWSE", ROOT / "build" / "hawse"))
SDK = HAWSE.parent / "lib" / "hawse" / "python"
PASS = """
    class Pass(hawse.Node):
        def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
            out = self.output.like(tensor)
            memoryview(out.data)[:] = memoryview(tensor.data)
            return out
"""
WATCHDOG_S = 300  # against a hang, not a limit on speed


def use_podman() -> podman_engine.PodmanEngine:
    """HAWSE_TEST_ENGINE=podman: whatever the tests run in containers, they do over Podman."""
    assert not podman_engine.why_not(), podman_engine.why_not()
    engine = podman_engine.PodmanEngine()
    atexit.register(engine.remove)
    engine.load_base()
    os.environ["DOCKER_HOST"] = engine.host
    return engine


def engine_answers() -> bool:
    return subprocess.run(["docker", "version"], capture_output=True).returncode == 0 if _on_path("docker") else False


def _on_path(name: str) -> bool:
    return any(os.access(os.path.join(folder, name), os.X_OK) for folder in os.environ["PATH"].split(":"))


PODMAN = os.environ.get("HAWSE_TEST_ENGINE") == "podman"
CONTROL_GROUPS = BRIDGE = True  # of containers; a rootless engine may have been given neither
if PODMAN:
    _engine = use_podman()
    CONTROL_GROUPS, BRIDGE = _engine.has_control_groups(), _engine.has_bridge()
ENGINE = engine_answers()
needs_engine = pytest.mark.skipif(not ENGINE, reason="no container engine answers on this machine")
EXECUTORS = [pytest.param("process"), pytest.param("container", marks=needs_engine)]


@dataclasses.dataclass
class Run:
    """A finished `hawse run --json`."""

    code: int
    events: list[dict[str, typing.Any]]
    stderr: str

    def of(self, event: str, node: str | None = None) -> list[dict[str, typing.Any]]:
        return [e for e in self.events if e["event"] == event and (node is None or e.get("node") == node)]

    def log(self, node: str) -> list[str]:
        return [e["text"] for e in self.of("log", node)]

    @property
    def summary(self) -> dict[str, typing.Any]:
        (summary,) = self.of("summary")
        return summary

    def node(self, name: str) -> dict[str, typing.Any]:
        return next(n for n in self.summary["nodes"] if n["node"] == name)

    def edge(self, start: str, end: str) -> dict[str, typing.Any]:
        return next(e for e in self.summary["edges"] if e["from"].startswith(start + ".") and e["to"].startswith(end + "."))


class Bench:
    """A folder with nodes.py and pipeline.yaml, and the command that runs them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.pipeline = folder / "pipeline.yaml"
        self.started: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """Kills what a test that failed has left running: the next one counts what is there."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def nodes(self, source: str) -> None:
        (self.folder / "nodes.py").write_text("import hawse\n" + textwrap.dedent(source))

    def write(self, manifest: str | dict[str, typing.Any]) -> pathlib.Path:
        text = manifest if isinstance(manifest, str) else json.dumps({"version": 1, "name": "test", **manifest})
        self.pipeline.write_text(textwrap.dedent(text))
        return self.pipeline

    def start(self, *arguments: str, pipeline: pathlib.Path | None = None, **options: typing.Any) -> subprocess.Popen[str]:
        self.started.append(subprocess.Popen([HAWSE, "run", "--json", str(pipeline or self.pipeline), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             text=True, cwd=self.folder, **options))
        return self.started[-1]

    def finish(self, process: subprocess.Popen[str]) -> Run:
        try:
            out, err = process.communicate(timeout=WATCHDOG_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            time.sleep(1)
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"hawse run hangs; it had said:\n{out[-4000:]}\n{err[-2000:]}")
        events = json_lines(out, '"event"')
        return Run(process.returncode, events, err)

    def run(self, *arguments: str, pipeline: pathlib.Path | None = None) -> Run:
        return self.finish(self.start(*arguments, pipeline=pipeline))

    def run_ok(self, *arguments: str, pipeline: pathlib.Path | None = None) -> Run:
        run = self.run(*arguments, pipeline=pipeline)
        assert run.code == 0, f"exit code {run.code}\n{run.stderr}\n" + "\n".join(str(e) for e in run.events if e["event"] in ("failure", "log"))
        return run


def json_lines(text: str, having: str = "") -> list[dict[str, typing.Any]]:
    """The objects of lines that are one; splitlines() would also split where a text has U+2028 and the like."""
    return [json.loads(line) for line in text.split("\n") if line.startswith('{"') and having in line]


def hawse(*arguments: str | pathlib.Path, **options: typing.Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HAWSE), *map(str, arguments)], capture_output=True, text=True, timeout=WATCHDOG_S, **options)


def wait_for(what: typing.Callable[[], object], why: str) -> None:
    end = time.monotonic() + 120  # a watchdog
    while not what():
        if time.monotonic() > end:
            pytest.fail(f"never: {why}")
        time.sleep(0.02)


# ---- what a run may leave behind: nothing ------------------------------------------------------------------------------------

RUN_DIR = pathlib.Path(os.environ.get("HAWSE_RUN") or ("/run/hawse" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp") + "/hawse"))
OURS = ("/hawse-node", "/hawse-guard", "/hawse-keeper", "/hawse/init", "hawse/_main.py")  # how an argument of theirs ends


def _ancestors(pid: int) -> typing.Iterator[int]:
    while pid > 1:
        yield pid
        pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _of_another(pid: int) -> bool:
    """Whether it belongs to a run that lives and that this test didn't start: somebody else works on this machine, too."""
    chain = list(_ancestors(pid))
    return os.getpid() not in chain and any(pathlib.Path(f"/proc/{each}/comm").read_text() == "hawse\n" for each in chain)


def _used_by_another(cgroup: str) -> bool:
    try:
        return any(_of_another(int(pid)) for pid in pathlib.Path(cgroup, "cgroup.procs").read_text().split())
    except OSError:
        return False


def _containers() -> tuple[list[str], list[str]]:
    """Those that are left, and those of others: the label says which process each belongs to."""
    listed = subprocess.run(["docker", "ps", "-aq", "--no-trunc", "--filter", "label=hawse", "--format", '{{.ID}} {{.Label "hawse.owner"}}'], capture_output=True, text=True)
    left, others = [], []
    for line in listed.stdout.splitlines():
        identity, _, owner = line.partition(" ")
        try:
            ours = os.getpid() in _ancestors(int(owner.split()[0]))
        except (OSError, IndexError):
            ours = True  # its owner is gone
        (left if ours else others).append(identity)
    return left, others


def left_behind() -> dict[str, list[str]]:
    """Processes, memfds, containers, control groups and files of ours that exist right now."""
    left: dict[str, list[str]] = {"processes": [], "memfds": [], "containers": [], "cgroups": [], "files": []}
    left["containers"], others = _containers() if ENGINE else ([], [])
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            held = [target for descriptor in (process / "fd").iterdir() if (target := os.readlink(descriptor)).startswith("/memfd:hawse")]
            ours = state != "Z" and (any(argument.endswith(OURS) for argument in command[:5]) or (command[0].endswith("/hawse") and command[1] == "run"))
            if not (ours or held) or _of_another(int(process.name)) or any(identity in (process / "cgroup").read_text() for identity in others):
                continue
            if ours:
                left["processes"].append(f"{process.name} {' '.join(command)}")
            left["memfds"] += [f"{process.name} {target}" for target in held]
        except (OSError, IndexError):
            continue
    left["cgroups"] = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if "/hawse-" in folder and not _used_by_another(folder)]
    if RUN_DIR.exists():
        left["files"] = [str(p) for p in RUN_DIR.iterdir()]
    return left


def assert_nothing_left(within_s: float = 10.0) -> None:
    """A killed container takes the engine a moment; whatever is there after that is a leak."""
    end = time.monotonic() + within_s
    while True:
        left = left_behind()
        if not any(left.values()):
            return
        if time.monotonic() > end:
            pytest.fail(f"left behind: {json.dumps({k: v for k, v in left.items() if v}, indent=1)}")
        time.sleep(0.05)
