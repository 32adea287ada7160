# SPDX-License-Identifier: Apache-2.0
"""The command as a user meets it: help, errors in words, exit codes, what it prints."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
from harness import HAWSE, ROOT, Bench, hawse, needs_engine
from ruamel.yaml import YAML

COMMANDS = ["run", "ps", "top", "logs", "tap", "inspect", "restart", "replace", "stop", "check", "schema", "build", "lock", "pack", "image", "doctor", "new", "bench", "advise", "version", "completion"]


def test_help_lists_every_command() -> None:
    out = hawse("--help").stdout
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "image ls", "image rm", "image prune", "image base", "bench history", "bench compare", "bench baseline", "bench export"])
def test_help_of_every_command_has_an_example(command: str) -> None:
    done = hawse(*command.split(), "--help")
    assert done.returncode == 0
    assert "xample" in done.stdout and f"hawse {command}" in done.stdout


def test_an_unknown_command_gets_the_nearest_one() -> None:
    done = hawse("rnu", "x.yaml")
    assert done.returncode == 2
    assert "did you mean 'run'" in done.stderr


def test_version_is_there_for_people_and_for_programs() -> None:
    assert hawse("version").stdout.startswith("hawse 0.")
    assert json.loads(hawse("version", "--json").stdout)["version"]


def test_a_bad_manifest_is_told_in_one_go_with_places_and_hints(bench: Bench) -> None:
    bench.nodes("""
        class Speech(hawse.Node):
            def setup(self, threshold: float = 0.5) -> None: ...
            def process(self, audio: hawse.Audio) -> hawse.Text: ...
    """)
    bench.write("""
        version: 1
        name: broken
        nodes:
          source: {node: media/sorce, params: {uri: x.wav}}
          speech:
            node: nodes.py:Speach
            exectuor: container
          other:
            node: nodes.py:Speech
            params: {treshold: 0.5}
            limits: {memory: lots}
        edges:
          - source.audio -> speech
          - other -> nowhere
    """)
    done = hawse("run", bench.pipeline)
    assert done.returncode == 3
    for place, words in {":5:": "media/source", ":7:": "Speech", ":8:": "executor", ":11:": "threshold", ":12:": "lots", ":15:": "nowhere"}.items():
        assert any(place in line and "pipeline.yaml" in line for line in done.stderr.splitlines()), place
        assert words in done.stderr
    assert "nothing was started" in done.stderr


def test_a_duplicate_key_and_a_cycle_are_refused(bench: Bench) -> None:
    bench.nodes("""
        class Pass(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Tensor: ...
    """)
    bench.write("version: 1\nname: a\nname: b\nnodes: {a: {node: 'nodes.py:Pass'}, b: {node: 'nodes.py:Pass'}}\nedges: [a -> b, b -> a]\n")
    done = hawse("check", bench.pipeline)
    assert done.returncode == 3
    assert "pipeline.yaml:3:1" in done.stderr and "duplicate" in done.stderr.lower()
    bench.write("version: 1\nname: a\nnodes: {a: {node: 'nodes.py:Pass'}, b: {node: 'nodes.py:Pass'}}\nedges: [a -> b, b -> a]\n")
    done = hawse("check", bench.pipeline)
    assert done.returncode == 3
    assert "cycle" in done.stderr and "feedback: true" in done.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    done = hawse("run", "no-such.yaml")
    assert done.returncode == 3 and "no-such.yaml" in done.stderr


@pytest.mark.parametrize("example", ["captions", "conflict", "faces", "runaway"])
def test_check_says_what_runs_where_and_what_it_may_touch(example: str) -> None:
    done = hawse("check", ROOT / "examples" / example / "pipeline.yaml")
    assert done.returncode == 0, done.stderr
    assert "container" in done.stdout and "network" in done.stdout


@pytest.mark.parametrize("example", ["captions", "conflict", "faces", "runaway"])
def test_the_examples_fit_the_schema(example: str) -> None:
    manifest = YAML(typ="safe", pure=True).load(ROOT / "examples" / example / "pipeline.yaml")  # YAML 1.2: `on` is a word
    schema = json.loads(hawse("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(manifest, schema)
    manifest["nodes"][next(iter(manifest["nodes"]))]["exectuor"] = "process"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, schema)


def test_new_makes_a_pipeline_that_runs_at_once(tmp_path: pathlib.Path) -> None:
    assert hawse("new", "hello", cwd=tmp_path).returncode == 0
    done = hawse("run", "hello/pipeline.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    again = hawse("new", "hello", cwd=tmp_path)
    assert again.returncode != 0 and "hello" in again.stderr, "it overwrites nothing"


def test_exit_codes_tell_manifest_environment_and_node_apart(bench: Bench) -> None:
    bench.nodes("""
        class Any(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                raise RuntimeError("no")
    """)
    source = {"node": "test/source", "params": {"count": 1, "shape": [1]}}
    bench.write({"nodes": {"source": source, "any": {"node": "nodes.py:Any", "python": {"packages": ["no-such-package-anywhere==1.0"]}}}, "edges": ["source -> any"]})
    run = bench.run()
    assert run.code == 4
    assert "no-such-package-anywhere" in run.of("failure", "any")[0]["text"]
    bench.write({"nodes": {"source": source, "any": {"node": "nodes.py:Any"}}, "edges": ["source -> any"]})
    assert bench.run().code == 5
    bench.write({"nodes": {"source": source}, "edgse": []})
    assert bench.run().code == 3


def test_no_engine_is_an_error_that_says_what_to_do(bench: Bench) -> None:
    bench.nodes("""
        class Any(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "any": {"node": "nodes.py:Any", "executor": "container"}},
                 "edges": ["source -> any"]})
    run = bench.finish(bench.start(env={**os.environ, "DOCKER_HOST": f"unix://{bench.folder}/nothing.sock"}))
    assert run.code == 6
    failure = run.of("failure", "any")[0]
    assert "nothing.sock" in failure["text"] and "--executor" in failure["hint"] + failure["text"]


@needs_engine
def test_build_prepares_environments_so_that_a_run_finds_them(bench: Bench) -> None:
    bench.nodes("""
        class Any(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                import six
                print("six", six.__version__)
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}},
                           "any": {"node": "nodes.py:Any", "executor": "container", "container": {"packages": ["six==1.16.0"]}}}, "edges": ["source -> any"]})
    assert hawse("build", bench.pipeline).returncode == 0
    assert "six" in hawse("image", "ls").stdout
    assert bench.run_ok().log("any") == ["six 1.16.0"]


def test_doctor_reports_and_ends() -> None:
    done = hawse("doctor")
    assert "sealed" in done.stdout.lower() and "python" in done.stdout.lower()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_commands(shell: str) -> None:
    script = hawse("completion", shell).stdout
    assert all(command in script for command in COMMANDS)


def test_bash_takes_its_completion_script_and_completes() -> None:
    script = hawse("completion", "bash").stdout
    probe = script + '\nCOMP_WORDS=(hawse ru); COMP_CWORD=1; COMP_LINE="hawse ru"; COMP_POINT=8; $(complete -p hawse | sed "s/.*-F \\([^ ]*\\).*/\\1/") hawse ru hawse; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "run", done


def test_install_puts_a_command_there_that_runs(tmp_path: pathlib.Path, bench: Bench) -> None:
    done = subprocess.run(["cmake", "--install", HAWSE.parent, "--prefix", tmp_path / "prefix"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bench.nodes("""
        class Hello(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> hawse.Text:
                return hawse.Text("hello")
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 2, "shape": [1]}}, "hello": {"node": "nodes.py:Hello"}, "print": {"node": "text/print"}},
                 "edges": ["source -> hello -> print"]})
    run = subprocess.run([tmp_path / "prefix" / "bin" / "hawse", "run", "--quiet", bench.pipeline], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert run.returncode == 0, run.stderr
    assert run.stdout == "hello\nhello\n"


def test_quiet_leaves_only_what_the_nodes_print(bench: Bench) -> None:
    bench.nodes("""
        import sys
        class Talker(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None:
                print("one line")
                print("to stderr", file=sys.stderr)
                self.log.info("a log line")
    """)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [1]}}, "talker": {"node": "nodes.py:Talker"}}, "edges": ["source -> talker"]})
    run = hawse("run", "--quiet", str(bench.pipeline))
    assert run.returncode == 0
    assert run.stdout == "one line\n"
    assert run.stderr == "to stderr\n"


PARTS = """
    import time
    class Node(hawse.Node):
        def setup(self) -> None:
            time.sleep(0.02)
        def process(self, tensor: hawse.Tensor) -> None: ...
"""


@pytest.mark.parametrize(("more", "parts"), [
    pytest.param({"fork": False}, {"interpreter", "import", "setup", "connect"}, id="process"),
    pytest.param({"restart": {"on": "failure"}}, {"interpreter", "import", "fork", "setup", "connect"}, id="forked process"),
    pytest.param({"executor": "container", "fork": False}, {"create", "start", "join", "interpreter", "import", "setup", "connect"}, id="container", marks=needs_engine),
    pytest.param({"executor": "container", "restart": {"on": "failure"}}, {"create", "start", "interpreter", "import", "fork", "setup", "connect"}, id="forked in a container", marks=needs_engine),
])
def test_the_phases_of_a_start_follow_one_another(bench: Bench, more: dict[str, object], parts: set[str]) -> None:
    bench.nodes(PARTS)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}}, "node": {"node": "nodes.py:Node", **more}}, "edges": ["source -> node"]})
    phases = bench.run_ok().node("node")["phases_ms"]
    assert set(phases) >= {"environment", "total"} | parts - {"create"}, phases
    told = {name: ms for name, ms in phases.items() if name not in ("environment", "total")}
    assert all(ms >= 0 for ms in told.values()) and told["setup"] > 19, told
    assert sum(told.values()) == pytest.approx(phases["total"], abs=0.01), phases


def test_a_start_timeout_is_told_as_it_was_given(bench: Bench) -> None:
    bench.nodes(PARTS.replace("0.02", "60"))
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}}, "node": {"node": "nodes.py:Node", "start_timeout": "500ms"}},
                 "edges": ["source -> node"]})
    (failure,) = bench.run().of("failure", "node")
    assert failure["text"] == "did not become ready within 500 ms"


def test_what_is_made_is_told_as_json_too(bench: Bench, tmp_path: pathlib.Path) -> None:
    new = tmp_path / "hello"
    assert json.loads(hawse("new", new, "--json").stdout) == {"pipeline": str(new / "pipeline.yaml"), "nodes": str(new / "nodes.py")}
    (built,) = map(json.loads, hawse("build", new / "pipeline.yaml", "--json").stdout.splitlines())
    assert built["node"] == "mine" and built["executor"] == "process" and built["environment"] in built["outcome"]
    locked = [json.loads(line) for line in hawse("lock", new / "pipeline.yaml", "--json").stdout.splitlines()]
    assert locked[-1] == {"file": str(new / "pipeline.yaml.lock"), "environments": len(locked) - 1 if "environment" in locked[0] else 0}
    text = (new / "pipeline.yaml").read_text().replace("executor: process ", "executor: process\n    python: {packages: [no-such-package-anywhere]} ")
    (new / "pipeline.yaml").write_text(text)
    failed = hawse("build", new / "pipeline.yaml", "--json", env={**os.environ, "UV_OFFLINE": "1"})
    (line,) = map(json.loads, failed.stdout.splitlines())
    assert line["exit_code"] == failed.returncode == 4 and line["node"] == "mine" and line["error"], line


def test_what_is_kept_warm_is_told_as_json_and_by_ps(bench: Bench) -> None:
    bench.nodes(PARTS)
    bench.write({"nodes": {"source": {"node": "test/source", "params": {"count": 1, "shape": [4]}}, "node": {"node": "nodes.py:Node"}}, "edges": ["source -> node"]})
    try:
        (kept,) = map(json.loads, hawse("warm", bench.pipeline, "-n", "2", "--json").stdout.splitlines())
        assert kept["node"] == "node" and kept["kept"] == 2
        assert "nodes are kept warm (hawse warm --ls)" in hawse("ps").stdout
        both = json.loads(hawse("ps", "--json", "--warm").stdout)
        (waits,) = [each for each in both["warm"] if each.get("pipeline") == str(bench.pipeline)]
        assert waits["node"] == "node" and waits["waiting"] == 2 and isinstance(both["sessions"], list)
        assert isinstance(json.loads(hawse("ps", "--json").stdout), list)
    finally:
        ended = hawse("warm", "--stop", bench.pipeline, "--json")
    assert json.loads(ended.stdout) == {"ended": 2}
