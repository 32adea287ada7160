# SPDX-License-Identifier: Apache-2.0
"""`hawse pack`: images with everything in them, and a manifest that runs with nothing else."""
from __future__ import annotations

import json
import shutil
import subprocess
import typing

import pytest
from environments import Place, make_wheel
from harness import Bench, Run, needs_engine

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
