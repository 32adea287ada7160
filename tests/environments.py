# SPDX-License-Identifier: Apache-2.0
"""What the tests of environments share: a state folder of their own, an index of packages made here, and packages in it."""
from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import tarfile
import typing
import zipfile

from harness import Bench, hawse


def make_wheel(folder: pathlib.Path, name: str, version: str, requires: str = "") -> pathlib.Path:
    """A pure wheel of one module that knows its version."""
    info = f"{name}-{version}.dist-info/"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else ""))
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return path


def make_sdist(folder: pathlib.Path, name: str, version: str, files: dict[str, str]) -> pathlib.Path:
    """A source distribution built by setuptools."""
    files = {
        "pyproject.toml": f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "{name}"\nversion = "{version}"\n',
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
        **files,
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


class Place:
    """A state folder and an index of its own, so that nothing of this machine's is seen or changed, and no package out there of the same name gets in."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.index = bench.folder / "index"
        self.index.mkdir()
        self.env = {**os.environ, "HAWSE_STATE": str(bench.folder / "state"), "UV_FIND_LINKS": str(self.index), "UV_DEFAULT_INDEX": self.index.as_uri()}
        bench.folder.chmod(0o755)

    def use_the_machines_index(self) -> None:
        """For what building from source takes."""
        del self.env["UV_DEFAULT_INDEX"]
        self.env.update({name: value for name, value in os.environ.items() if name == "UV_DEFAULT_INDEX"})

    def hawse(self, *arguments: str | pathlib.Path, **env: str) -> subprocess.CompletedProcess[str]:
        return hawse(*arguments, env={**self.env, **env}, cwd=self.bench.folder)

    def ok(self, *arguments: str | pathlib.Path, **env: str) -> str:
        done = self.hawse(*arguments, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def listed(self, kind: str, **env: str) -> list[dict[str, typing.Any]]:
        return [each for each in json.loads(self.ok("image", "ls", "--json", **env)) if each["kind"] == kind]
