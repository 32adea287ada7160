# SPDX-License-Identifier: Apache-2.0
"""`hawse pack`: images with everything in them, and a manifest that runs with nothing else."""
from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
import typing

import pytest
from environments import Place, make_wheel
from harness import Bench, Run, needs_engine, wait_for

pytestmark = needs_engine


@pytest.fixture
def place(bench: Bench) -> typing.Iterator[Place]:
    place = Place(bench)
    make_wheel(place.index, "thing", "1.5")
    yield place
    subprocess.run(["docker", "rmi", "hawse/pack:t-double"], capture_output=True)


def packed_run(place: Place, bench: Bench, *arguments: str) -> Run:
    process = bench.start(*arguments, pipeline=bench.folder / "pipeline.packed.json", env=place.env)
    return bench.finish(process)


def test_a_packed_pipeline_runs_with_its_code_and_packages_gone(place: Place, bench: Bench) -> None:
    bench.nodes("""
        class Double(hawse.Node):
            def setup(self, times: int = 2):
                import helper, thing
                print("thing", thing.version, helper.__file__, thing.__file__)
                self.times = times

            def process(self, text: hawse.Text) -> hawse.Text:
                return hawse.Text(text.text * self.times)

        class Says(hawse.Node):
            def setup(self, what: str):
                self.what = what

            def produce(self) -> hawse.Text:
                yield hawse.Text(self.what)

        class Prints(hawse.Node):
            def process(self, text: hawse.Text) -> None:
                print("got", text.text)
    """)
    (bench.folder / "helper.py").write_text("x = 1\n")
    (bench.folder / "nodes.py").write_text((bench.folder / "nodes.py").read_text().replace("import hawse\n", "import hawse\nimport helper\n", 1))
    (bench.folder / "native.py").write_text((bench.folder / "nodes.py").read_text())
    bench.write(
        """
        version: 1
        name: t
        variables: {what: ab}
        nodes:
          says: {node: "native.py:Says", params: {what: "${what}"}}
          double: {node: "nodes.py:Double", executor: container, params: {times: 3}, container: {python: 3.9, packages: [thing]}, limits: {memory: 128MiB}}
          prints: {node: "native.py:Prints"}
        edges:
          - says -> double -> prints
        """
    )
    place.ok("pack", bench.pipeline, "--tag", "hawse/pack:t")
    manifest = json.loads((bench.folder / "pipeline.packed.json").read_text())
    assert manifest["nodes"]["double"]["node"] == "nodes:Double" and manifest["nodes"]["double"]["container"]["image"].startswith("sha256:")
    assert manifest["nodes"]["says"]["params"] == {"what": "${what}"}
    (listed,) = [each for each in place.listed("packed") if each["name"] == "hawse/pack:t-double"]
    assert "thing 1.5" in listed["what"]

    (bench.folder / "nodes.py").unlink()
    bench.pipeline.unlink()
    shutil.rmtree(bench.folder / "state")
    place.env["UV_FIND_LINKS"] = "/nowhere"
    run = packed_run(place, bench, "--set", "what=xy")
    assert run.code == 0, run.stderr + str(run.of("failure"))
    assert run.log("double")[0] == "thing 1.5 /opt/hawse/code/helper.py /opt/hawse/packages/thing.py"
    assert run.log("prints") == ["got xyxyxy"]


def test_what_has_nothing_to_pack_is_told(place: Place, bench: Bench) -> None:
    bench.nodes("""
        class Says(hawse.Node):
            def produce(self) -> hawse.Text:
                yield hawse.Text("x")
    """)
    bench.write({"nodes": {"says": {"node": "nodes.py:Says"}, "sink": {"node": "test/sink"}}, "edges": ["says -> sink"]})
    refused = place.hawse("pack", bench.pipeline)
    assert refused.returncode == 2 and "no Python node that runs in a container" in refused.stderr


@pytest.fixture
def registry(tmp_path: pathlib.Path) -> typing.Iterator[str]:
    """A registry of images on this machine, by its address; engines ask those on loopback without TLS."""
    if (program := shutil.which("docker-registry")) is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}, "http": {"addr": address}}
    (tmp_path / "registry.json").write_text(json.dumps(config))
    process = subprocess.Popen([program, "serve", tmp_path / "registry.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    host, port = address.split(":")

    def answers() -> bool:
        with socket.socket() as trial:
            return trial.connect_ex((host, int(port))) == 0

    try:
        wait_for(answers, "the registry answers")
        yield address
    finally:
        process.kill()
        process.wait()


def test_what_was_pushed_is_named_as_its_registry_has_it_and_pulled_by_that(place: Place, bench: Bench, registry: str) -> None:
    bench.nodes("""
        class Double(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                import thing
                print("thing", thing.version)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}},
                           "double": {"node": "nodes.py:Double", "executor": "container", "container": {"packages": ["thing"]}}}, "edges": ["source -> double"]})
    tag = f"{registry}/hawse-test/pack:1.4"

    def packed() -> str:
        return json.loads((bench.folder / "pipeline.packed.json").read_text())["nodes"]["double"]["container"]["image"]  # type: ignore[no-any-return]

    try:
        told = place.ok("pack", bench.pipeline, "--tag", tag)
        assert packed().startswith("sha256:") and "docker save" in told
        subprocess.run(["docker", "push", f"{tag}-double"], check=True, capture_output=True)
        again = [json.loads(line) for line in place.ok("pack", bench.pipeline, "--tag", tag, "--json").splitlines()]
        assert len(again) == 2, "the source is a thread"
        assert again[-2]["image"] == packed() and packed().startswith(f"{registry}/hawse-test/pack@sha256:") and again[-1]["manifest"].endswith("pipeline.packed.json")
        for name in (f"{tag}-double", packed()):
            subprocess.run(["docker", "rmi", name], capture_output=True)
        assert subprocess.run(["docker", "image", "inspect", packed()], capture_output=True).returncode != 0, "it is gone from the engine"
        run = packed_run(place, bench)
        assert run.code == 0, run.stderr + str(run.of("failure"))
        assert run.log("double") == ["thing 1.5"]
    finally:
        for name in (f"{tag}-double", packed()):
            subprocess.run(["docker", "rmi", name], capture_output=True)
