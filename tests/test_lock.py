# SPDX-License-Identifier: Apache-2.0
"""Lock files: the same environment again, bit for bit, whatever the index has by then; and what no longer fits is refused with words."""
from __future__ import annotations

import base64
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import threading
import typing

import pytest
from environments import Place, make_sdist, make_wheel
from harness import ENGINE, EXECUTORS, Bench, needs_engine

SHOWS = """
    class Shows(hawse.Node):
        def setup(self):
            import thing
            print("thing", thing.version)

        def produce(self) -> hawse.Text:
            yield hawse.Text("x")
"""


def pipeline(bench: Bench, executor: str, packages: list[str], **container: typing.Any) -> None:
    bench.nodes(SHOWS)
    environment = {"container": {"python": "3.9", "packages": packages, **container}} if executor == "container" else {"python": {"packages": packages}}
    bench.write({"nodes": {"shows": {"node": "nodes.py:Shows", "executor": executor, **environment}, "sink": {"node": "test/sink"}}, "edges": ["shows -> sink"]})


@pytest.fixture(autouse=True, scope="module")
def compilers_go() -> typing.Iterator[None]:
    """The images with a compiler that building from source has made here: they are large, and only these tests need them."""
    def images() -> set[str]:
        listed = subprocess.run(["docker", "images", "--filter", "label=hawse=1", "--format", "{{.Repository}}:{{.Tag}}", "hawse/env"], capture_output=True, text=True)
        return set(listed.stdout.split())

    before = images() if ENGINE else set()
    yield
    for image in (images() if ENGINE else set()) - before:
        label = subprocess.run(["docker", "inspect", "--format", '{{index .Config.Labels "hawse.what"}}', image], capture_output=True, text=True).stdout
        if "g++ make" in label:
            subprocess.run(["docker", "rmi", image], capture_output=True)


@pytest.fixture
def place(bench: Bench) -> Place:
    place = Place(bench)
    make_wheel(place.index, "thing", "1.5", requires="other")
    make_wheel(place.index, "other", "2.0")
    return place


def lock_of(bench: Bench) -> dict[str, typing.Any]:
    return json.loads((bench.folder / "pipeline.yaml.lock").read_text())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_locked_build_is_the_same_on_another_day_and_another_machine(executor: str, place: Place, bench: Bench) -> None:
    pipeline(bench, executor, ["thing"])
    place.ok("lock", bench.pipeline)
    locked = lock_of(bench)["nodes"]["shows"]
    assert [line.split(" ")[0] for line in locked["packages"]] == ["other==2.0", "thing==1.5"]
    assert all(" --hash=sha256:" in line for line in locked["packages"])
    if executor == "container":
        assert locked["base"].endswith(("hawse/python:3.9", "python:3.9-slim")) and "sha256:" in locked["image"]

    make_wheel(place.index, "thing", "1.6")  # the other day
    make_wheel(place.index, "other", "3.0")
    elsewhere = str(bench.folder / "elsewhere")  # the other machine
    built = place.hawse("build", bench.pipeline, "--locked", HAWSE_STATE=elsewhere)
    assert built.returncode == 0 and f"environment {locked['environment']} as locked" in built.stderr, built.stderr
    assert place.hawse("run", bench.pipeline, "--quiet", "--locked").stdout == "thing 1.5\n"
    assert place.hawse("run", bench.pipeline, "--quiet").stdout in ("thing 1.5\n", "thing 1.6\n")  # not locked: what is there already, or what the index has
    assert place.ok("lock", bench.pipeline, HAWSE_STATE=elsewhere) and "thing==1.6" in json.dumps(lock_of(bench))


def test_a_lock_that_no_longer_fits_says_what_differs_and_how_to_renew_it(place: Place, bench: Bench) -> None:
    pipeline(bench, "process", ["thing"])
    refused = place.hawse("run", bench.pipeline, "--locked")
    assert refused.returncode == 4 and "there is no" in refused.stderr and "hawse lock" in refused.stderr
    assert "lock file" not in place.ok("check", bench.pipeline)
    place.ok("lock", bench.pipeline)
    assert "lock file: fits" in place.ok("check", bench.pipeline)
    pipeline(bench, "process", ["thing", "other<3"])
    for command in ("build", "run"):
        refused = place.hawse(command, bench.pipeline, "--locked")
        assert refused.returncode == 4
        assert "node shows: packages is thing, other<3, and it was made for thing" in refused.stderr and "hint: hawse lock " in refused.stderr
    assert "lock file: stale, node shows: packages is thing, other<3" in place.ok("check", bench.pipeline)


def test_another_file_under_the_same_name_is_refused(place: Place, bench: Bench) -> None:
    pipeline(bench, "process", ["thing"])
    place.ok("lock", bench.pipeline)
    shutil.copy(make_wheel(bench.folder, "other", "2.0", requires="nothing"), place.index)
    elsewhere = str(bench.folder / "elsewhere")
    refused = place.hawse("build", bench.pipeline, "--locked", HAWSE_STATE=elsewhere, UV_CACHE_DIR=elsewhere + "/cache")  # uv's own still has the file that was locked
    assert refused.returncode == 4 and "Hash mismatch" in refused.stderr and "other==2.0" in refused.stderr
    assert not list((bench.folder / "elsewhere" / "store" / "packages").glob("*"))


def test_files_that_were_changed_since_are_seen(place: Place, bench: Bench) -> None:
    pipeline(bench, "process", ["thing"])
    place.ok("lock", bench.pipeline)
    (installed,) = (bench.folder / "state" / "store" / "packages").glob("*/thing.py")
    installed.unlink()  # not written into: it may be a link to the installer's own cache
    installed.write_text("version = 'another'\n")
    refused = place.hawse("run", bench.pipeline, "--locked")
    assert refused.returncode == 4 and "has the hash" in refused.stderr and "hawse image rm" in refused.stderr


class PrivateIndex(http.server.SimpleHTTPRequestHandler):
    """An index that gives nothing to who has no name and password."""

    WANTED = "Basic " + base64.b64encode(b"somebody:s3cr3t").decode()

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == self.WANTED:
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def private(bench: Bench) -> typing.Iterator[str]:
    folder = bench.folder / "private" / "simple"
    for name in ("thing", "cthing", "setuptools", "build", "tomli", "packaging", "pyproject-hooks", "importlib-metadata", "zipp", "other"):
        (folder / name).mkdir(parents=True)
    make_wheel(folder / "thing", "thing", "7.0")
    for each in folder.iterdir():
        (each / "index.html").write_text("".join(f'<a href="{file.name}">{file.name}</a>' for file in each.glob("*.*") if file.name != "index.html"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(PrivateIndex, directory=bench.folder / "private"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://somebody:s3cr3t@127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


def test_a_private_index_serves_and_its_password_is_nowhere(place: Place, bench: Bench, private: str) -> None:
    pipeline(bench, "process", ["thing>=7"])
    place.env.update(UV_DEFAULT_INDEX=private, UV_CACHE_DIR=str(bench.folder / "cache"))
    said = [place.hawse("lock", bench.pipeline), place.hawse("build", bench.pipeline, "--locked"), place.hawse("run", bench.pipeline, "--json", "--locked"), place.hawse("run", bench.pipeline, "--json")]
    assert [each.returncode for each in said] == [0, 0, 0, 0], [each.stderr for each in said]
    pipeline(bench, "process", ["no-such-thing"])
    said.append(place.hawse("build", bench.pipeline))
    assert said[-1].returncode == 4 and "no-such-thing" in said[-1].stderr
    kept = b"".join(path.read_bytes() for path in (bench.folder / "state").rglob("*") if path.is_file()) + (bench.folder / "pipeline.yaml.lock").read_bytes()
    assert b"s3cr3t" not in kept and not [each for each in said if "s3cr3t" in each.stdout + each.stderr]


def test_the_address_of_an_index_counts_and_who_asks_it_does_not(place: Place, bench: Bench, private: str) -> None:
    pipeline(bench, "process", ["thing"])
    for index in (private, private.replace("somebody", "another"), private.replace("/simple", "/other")):
        place.ok("build", bench.pipeline, UV_DEFAULT_INDEX=index)
    assert len(place.listed("packages", DOCKER_HOST="unix:///nowhere/docker.sock")) == 2


@needs_engine
def test_a_package_without_a_wheel_is_built_once_in_a_container_and_locked_with_what_builds_it(place: Place, bench: Bench) -> None:
    """The C extension needs a compiler: the image has none, so Debian's is added to it for the build."""
    place.use_the_machines_index()
    make_sdist(place.index, "cthing", "1.0", {
        "setup.py": 'from setuptools import Extension, setup\nsetup(ext_modules=[Extension("thing", ["thing.c"])])\n',
        "thing.c": """#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "thing", 0, -1, 0};
PyMODINIT_FUNC PyInit_thing(void) {
  PyObject* module = PyModule_Create(&definition);
  PyModule_AddStringConstant(module, "version", "compiled");
  return module;
}
"""})
    pipeline(bench, "container", ["cthing"])
    first = place.hawse("run", bench.pipeline, "--quiet")
    assert first.stdout == "thing compiled\n", first.stderr
    assert [each["what"] for each in place.listed("wheel")] == ["cthing 1.0, built for python 3.9"]
    place.ok("lock", bench.pipeline)
    lines = lock_of(bench)["nodes"]["shows"]["packages"]
    assert lines[0].startswith("cthing==1.0 --hash=sha256:") and lines[-1].startswith("build: setuptools==")
    elsewhere = place.hawse("build", bench.pipeline, "--locked", HAWSE_STATE=str(bench.folder / "elsewhere"))
    assert elsewhere.returncode == 0 and "as locked" in elsewhere.stderr, elsewhere.stderr


@needs_engine
def test_a_build_that_fails_shows_its_own_last_lines_and_leaves_nothing(place: Place, bench: Bench) -> None:
    place.use_the_machines_index()
    make_sdist(place.index, "broken", "1.0", {"setup.py": "import sys\nif 'bdist_wheel' in sys.argv: sys.exit('the flux capacitor is missing')\nfrom setuptools import setup\nsetup()\n"})
    pipeline(bench, "container", ["broken"])
    refused = place.hawse("build", bench.pipeline)
    assert refused.returncode == 4 and "build broken 1.0 from source" in refused.stderr and "the flux capacitor is missing" in refused.stderr
    store = pathlib.Path(place.env["HAWSE_STATE"]) / "store"
    assert not list((store / "tmp").iterdir()) and not (store / "wheels").exists()
