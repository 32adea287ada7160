# SPDX-License-Identifier: Apache-2.0
"""Podman behind its Docker-compatible service, with a folder and a socket of its own: the engine of a whole test run, or of a few tests. Rootless where the tests are."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PYTHON = "hawse/python:%d.%d" % sys.version_info[:2]


def why_not() -> str:
    """Why there can be no such engine here; "" where there can."""
    return "" if shutil.which("podman") else "podman is not installed"


class PodmanEngine:
    """Started when it is made, and again with start(). Its images and containers go with remove()."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hp", dir="/tmp"))  # short: a socket's path has 107 characters
        self.host = f"unix://{self.folder}/s"
        self.command = ["podman", "--root", str(self.folder / "root"), "--runroot", str(self.folder / "run"), "--cgroup-manager", "cgroupfs"]
        if shutil.which("runc", path=os.environ["PATH"] + ":/usr/sbin"):
            self.command += ["--runtime", "runc"]  # crun refuses a machine that has both hierarchies of control groups
        self.rootless = os.geteuid() != 0
        if self.rootless:
            self.command = ["env", f"XDG_RUNTIME_DIR={self.folder}", *self.command, "--storage-driver", "overlay"]  # its own choice, vfs, copies an image for each container
        self.start()

    def start(self) -> None:
        (self.folder / "s").unlink(missing_ok=True)  # a killed one's
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.command, "system", "service", "--time", "0", self.host], stdout=log, stderr=log, start_new_session=True, cwd=self.folder)  # a monitor writes where it stands
        end = time.monotonic() + 60
        while not (self.folder / "s").exists():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def load_base(self) -> bool:
        """The image of this Python from Docker, where that has it; making another one takes half a minute."""
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        if shutil.which("docker") is None or subprocess.run(["docker", "image", "inspect", PYTHON], env=environment, capture_output=True).returncode != 0:
            return False
        saved = subprocess.Popen(["docker", "save", PYTHON], env=environment, stdout=subprocess.PIPE)
        loaded = subprocess.run([*self.command, "load"], stdin=saved.stdout, capture_output=True)
        assert saved.wait() == 0 and loaded.returncode == 0, loaded.stderr
        return True

    def has_control_groups(self) -> bool:
        """Whether its containers are in groups of their own: a rootless one's only where its user was given some."""
        if not self.rootless:
            return True
        return bool(json.loads(subprocess.run([*self.command, "info", "--format", "{{json .Host.CgroupControllers}}"], capture_output=True, text=True, check=True).stdout))

    def has_bridge(self) -> bool:
        return not self.rootless or shutil.which("slirp4netns") is not None

    def kill(self) -> None:
        """The service alone: its containers' monitors are in its group, too."""
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)  # what it had goes below; asked to end, it waits for half a minute
        self.process.wait()
        subprocess.run([*self.command, "rm", "--all", "--force", "--time", "0"], capture_output=True, check=True)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(f"{self.folder}/")]
        for mount in sorted(mounts, reverse=True):
            subprocess.run(["umount", "-l", mount], check=True)
        if self.rootless:
            subprocess.run([*self.command, "unshare", "sh", "-c", f"umount {self.folder}/root/overlay; rm -rf {self.folder}/root"], check=True)  # files of the user's own users
            os.kill(int((self.folder / "libpod/tmp/pause.pid").read_text()), signal.SIGKILL)  # keeps the user namespace
        shutil.rmtree(self.folder)
