# SPDX-License-Identifier: Apache-2.0
"""A container engine of the tests' own, to be killed, stopped, hung and started again; and runs that are watched while that happens."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import typing

import pytest
from harness import WATCHDOG_S, Bench, Run

Events = typing.List[typing.Dict[str, typing.Any]]


class PrivateEngine:
    """dockerd with folders, a socket and a containerd of its own, and no network. Root only."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="he", dir="/tmp"))  # short: a socket's path has 107 characters
        self.socket = self.folder / "s"
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        if self.process is not None:
            return
        (self.folder / "pid").unlink(missing_ok=True)
        # In a network namespace of its own: with `--bridge none` an engine takes the machine's docker0 away, which is another engine's.
        command = ["unshare", "--net", "dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "--host", f"unix://{self.socket}",
                   "--bridge", "none", "--iptables=false", *more]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self.docker("version").returncode == 0 or process_ended(self.process), "the engine does not come up")
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(WATCHDOG_S)
        self.process = None
        # Its containerd dies with it; the next dockerd would take one that is dying, or dead and not reaped yet, for its own.
        wait_until(lambda: not any("containerd/containerd.toml" in command and str(self.folder) in command for _, command in processes()), "its containerd stays")
        (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)

    def hang(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def docker(self, *arguments: str, **options: typing.Any) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["docker", *arguments], env=self.env, capture_output=True, timeout=WATCHDOG_S, **options)

    def containers(self) -> list[str]:
        return self.docker("ps", "-aq", "--filter", "label=hawse").stdout.decode().split()

    def load(self, image: str) -> None:
        """An image of the engine that the other tests use."""
        saved = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        assert self.docker("load", stdin=saved.stdout).returncode == 0 and saved.wait() == 0

    def remove(self) -> None:
        """Also what a killed engine has left: its containers' shims, and mounts."""
        self.go_on()
        if self.process is not None:
            self.stop()
        for number, command in processes():
            if str(self.folder) in command and "dockerd" not in command:
                for child in children(number):
                    os.kill(child, signal.SIGKILL)
                os.kill(number, signal.SIGKILL)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(f"{self.folder}/")]
        for mount in sorted(mounts, reverse=True):
            subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(self.folder)


def process_ended(process: "subprocess.Popen[bytes] | None") -> bool:
    return process is not None and process.poll() is not None


def processes() -> list[tuple[int, str]]:
    found = []
    for process in pathlib.Path("/proc").iterdir():
        try:
            if process.name.isdigit():
                found.append((int(process.name), (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")))
        except OSError:  # it has ended meanwhile
            continue
    return found


def children(number: int) -> list[int]:
    try:
        return [int(child) for task in pathlib.Path(f"/proc/{number}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


def wait_until(true: typing.Callable[[], typing.Any], otherwise: str) -> typing.Any:
    end = time.monotonic() + WATCHDOG_S
    while not (value := true()):
        if time.monotonic() > end:
            pytest.fail(otherwise)
        time.sleep(0.05)
    return value


class Watched:
    """A run whose events are read while it goes on."""

    started: typing.ClassVar[list[Watched]] = []

    def __init__(self, bench: Bench, env: dict[str, str]) -> None:
        self.process = bench.start(env=env)
        self.started.append(self)
        self.events: Events = []
        self._error: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._error += self.process.stderr

    def until(self, event: str, node: str | None = None, **wanted: object) -> dict[str, typing.Any]:
        """The first such event; a text is looked for in the event's own."""
        def fits(each: dict[str, typing.Any]) -> bool:
            return (each["event"] == event and (node is None or each.get("node") == node) and
                    all(value in each.get(key, "") if isinstance(value, str) else each.get(key) == value for key, value in wanted.items()))

        def look() -> dict[str, typing.Any] | None:
            found = next((each for each in list(self.events) if fits(each)), None)
            if found is None and self.process.poll() is not None:
                for reader in self._readers:
                    reader.join()
                found = next((each for each in self.events if fits(each)), None)
                assert found is not None, f"the run has ended without {event} {node} {wanted}: {self.told()}"
            return found
        try:
            return typing.cast("dict[str, typing.Any]", wait_until(look, "it never came"))
        except BaseException:
            print(self.told())
            self.process.kill()
            raise

    def told(self) -> str:
        return "\n".join(str(each) for each in self.events if each["event"] != "log")[-6000:] + "".join(self._error)[-2000:]

    def finish(self) -> Run:
        try:
            self.process.wait(WATCHDOG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"hawse run hangs; it had said:\n{self.told()}")
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return Run(self.process.returncode, self.events, "".join(self._error))
