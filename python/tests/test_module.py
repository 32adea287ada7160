# SPDX-License-Identifier: Apache-2.0
"""What the native module asks of the machine that it is loaded on."""
import os
import re
import shutil
import subprocess
import sys

import pytest

import hawse
from hawse import _plane

MODULE = _plane.__file__
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(hawse.__file__)))

needs_binutils = pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump on this machine")


@needs_binutils
def test_needs_no_library_by_name():
    assert "NEEDED" not in subprocess.run(["objdump", "-p", MODULE], capture_output=True, text=True, check=True).stdout


@needs_binutils
def test_asks_for_no_symbol_younger_than_glibc_2_17():
    symbols = subprocess.run(["objdump", "-T", MODULE], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    assert "GLIBCXX" not in symbols and "CXXABI" not in symbols
    assert all(version <= (2, 17) for version in versions)
    # Without a version a symbol is looked up by name alone: it has to have been there in 2.17.
    younger = {"memfd_create", "pidfd_open", "close_range", "epoll_pwait2", "getrandom", "statx", "copy_file_range", "gettid", "arc4random"}
    assert not younger & set(re.findall(r"\*UND\*\s+\S+\s+(\w+)", symbols))


@needs_binutils
def test_gives_out_nothing_but_its_initialisation():
    symbols = subprocess.run(["objdump", "-T", MODULE], capture_output=True, text=True, check=True).stdout
    defined = [line.split()[-1] for line in symbols.splitlines() if re.match(r"[0-9a-f]{16}\s+\w", line) and "*UND*" not in line]
    assert defined == ["PyInit__plane"]


def interpreters():
    found = {f"3.{minor}": shutil.which(f"python3.{minor}") for minor in range(9, 15)}
    versions = os.path.expanduser("~/.pyenv/versions")
    for name in os.listdir(versions) if os.path.isdir(versions) else []:
        path = os.path.join(versions, name, "bin", "python3")
        if re.match(r"3\.(9|1\d)\.", name) and os.path.exists(path):
            found[".".join(name.split(".")[:2])] = path
    found["this"] = sys.executable
    return sorted((name, path) for name, path in found.items() if path)


@pytest.mark.parametrize("name, python", interpreters(), ids=lambda value: value)
def test_loads_and_moves_a_frame_in_every_python_of_this_machine(name, python):
    answer = subprocess.run([python, "-c", "import sys"], capture_output=True)
    if answer.returncode != 0:
        pytest.skip(f"{python} is not installed here")
    code = (f"import sys; sys.path[:0] = {[PACKAGE, os.path.dirname(os.path.abspath(__file__))]!r}\n"
            "import hawse\nfrom plane_pair import Pair\npair = Pair()\npair.port.send(hawse.Bytes(b'abc'))\nview = memoryview(pair.next()._memory())\n"
            "del pair\nassert bytes(view) == b'abc' and view.readonly\nprint('fine')\n")
    answer = subprocess.run([python, "-I", "-B", "-c", code], capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("fine\n", "")
