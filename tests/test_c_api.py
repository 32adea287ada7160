# SPDX-License-Identifier: Apache-2.0
"""Nodes in C and by FFI, over libhawse_node.so alone, in real pipelines; and that the library shows what its header declares, and nothing else."""
from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from harness import EXECUTORS, HAWSE, ROOT, Bench

LIBRARY = HAWSE.parent / "lib" / "libhawse_node.so"
HEADER = ROOT / "include" / "hawse" / "node.h"
C_NODE = HAWSE.parent / "src" / "node" / "c_api_program"
C11 = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", f"-I{ROOT}/include"]


def placed(bench: Bench, program: pathlib.Path, executor: str) -> dict[str, object]:
    """Where the program and its library are found; in a container the library is mounted."""
    if executor == "process":
        return {"node": str(program), "executor": executor, "env": {"HAWSE_NODE_LIBRARY": str(LIBRARY)}}
    (bench.folder / "lib").mkdir(0o755)
    shutil.copy(LIBRARY, bench.folder / "lib" / "libhawse_node.so.1")
    if program.parent != bench.folder:
        program = pathlib.Path(shutil.copy(program, bench.folder))
    return {"node": str(program), "executor": executor, "container": {"python": "3.11", "mounts": [f"{bench.folder}/lib:/opt/hawse"]}, "env": {"LD_LIBRARY_PATH": "/opt/hawse"}}


def of_the_docs(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / "c.md").read_text(), re.DOTALL | re.MULTILINE)
    return str(code)


def c_node(bench: Bench, mode: str, executor: str = "process", **params: object) -> dict[str, object]:
    return {**placed(bench, C_NODE, executor), "params": {"mode": mode, **params}}


def ctypes_node(bench: Bench, executor: str) -> dict[str, object]:
    script = bench.folder / "passes_on"
    script.write_text(of_the_docs("python"))
    script.chmod(0o755)
    return placed(bench, script, executor)


def chain(bench: Bench, count: int, between: dict[str, object]) -> None:
    """C to `between` to C: the sink holds type, shape, times and every byte of every frame against what the source must have sent, and fails on the first that differs."""
    bench.write({"nodes": {"source": c_node(bench, "source", count=count), "between": between, "sink": c_node(bench, "sink")},
                 "edges": ["source.out -> between.in", "between.out -> sink.in"]})
    run = bench.run_ok()
    assert run.log("sink") == [f"{count} frames"]
    for start, end in (("source", "between"), ("between", "sink")):
        edge = run.edge(start, end)
        assert (edge["frames"], edge["copies"], edge["dropped"]) == (count, 0, 0), edge


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_frame_passes_through_nodes_in_c_byte_for_byte(bench: Bench, executor: str) -> None:
    chain(bench, 500, c_node(bench, "pass", executor))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_frame_passes_through_a_node_by_ffi_byte_for_byte(bench: Bench, executor: str) -> None:
    chain(bench, 200, ctypes_node(bench, executor))


def test_the_run_says_why_a_node_in_c_failed(bench: Bench) -> None:
    bench.write({"nodes": {"source": c_node(bench, "source"), "fails": c_node(bench, "fail")}, "edges": ["source.out -> fails.in"]})
    run = bench.run()
    assert run.code == 5
    (failure,) = run.of("failure", "fails")
    assert "the third frame" in str(failure), failure


def test_a_node_by_ffi_is_held_to_its_signature_when_it_joins(bench: Bench) -> None:
    bench.write({"nodes": {"source": c_node(bench, "source"), "between": ctypes_node(bench, "process")}, "edges": ["source.out -> between.elsewhere"]})
    run = bench.run()
    assert run.code == 5
    assert "an edge leads into the input 'elsewhere' of 'between', whose signature has 'in'" in str(run.of("failure", "between"))


@pytest.mark.parametrize("linked", ["dynamic", "static"])
def test_the_documents_node_builds_as_they_say_and_runs(bench: Bench, linked: str) -> None:
    (bench.folder / "gain.c").write_text(of_the_docs("c"))
    if linked == "dynamic":
        subprocess.run([*C11, "gain.c", "-o", "gain", f"-L{LIBRARY.parent}", "-lhawse_node", f"-Wl,-rpath,{LIBRARY.parent}"], cwd=bench.folder, check=True)
    else:
        build = HAWSE.parent / "src"
        archives = [str(build / name) for name in ("node/libhawse_node_c.a", "node/libhawse_node.a", "plane/libhawse_plane.a", "base/libhawse_base.a")]
        subprocess.run([*C11, "-c", "gain.c", "-o", "gain.o"], cwd=bench.folder, check=True)
        subprocess.run(["g++", "gain.o", "-o", "gain", *archives, "-static-libstdc++", "-static-libgcc", "-pthread"], cwd=bench.folder, check=True)
    bench.nodes("""
        class Source(hawse.Node):
            outputs = {"out": hawse.Audio}
            def produce(self):
                for n in range(50):
                    frame = self.output.audio(samples=160, channels=1, rate=16000, dtype="float32")
                    memoryview(frame.data).cast("B").cast("f")[:] = memoryview(b"".join(__import__("struct").pack("f", n + i / 8) for i in range(160))).cast("f")
                    yield frame
        class Sink(hawse.Node):
            def setup(self):
                self.n = 0
            def process(self, audio: hawse.Audio) -> None:
                assert list(memoryview(audio.data).cast("B").cast("f")) == [3 * (self.n + i / 8) for i in range(160)], self.n
                self.n += 1
            def finish(self):
                self.log.info(f"{self.n} right")
    """)
    bench.write({"nodes": {"source": {"node": "nodes.py:Source"}, "louder": {"node": "./gain", "params": {"gain": 3}}, "sink": {"node": "nodes.py:Sink"}},
                 "edges": ["source.out -> louder.audio", "louder.out -> sink.audio"]})
    assert bench.run_ok().log("sink") == ["50 right"]


# ---- what it costs ----------------------------------------------------------------------------------------------------------

FRAMES = int(os.environ.get("HAWSE_C_API_FRAMES", 20_000))


def test_a_node_in_c_and_one_in_cpp_side_by_side(bench: Bench) -> None:
    """The documents' node in both languages, 64 bytes of audio a frame, a full edge before and behind it. Shown by -rP; HAWSE_C_API_FRAMES=1000000 for figures to write down."""
    (bench.folder / "gain.c").write_text(of_the_docs("c"))
    subprocess.run([*C11, "gain.c", "-o", "gain", f"-L{LIBRARY.parent}", "-lhawse_node", f"-Wl,-rpath,{LIBRARY.parent}"], cwd=bench.folder, check=True)
    for language, program in (("c++", HAWSE.parent / "src" / "node" / "gain_program"), ("c", bench.folder / "gain")) * (1 if FRAMES < 100_000 else 5):
        bench.write({"nodes": {"source": c_node(bench, "flood", count=FRAMES), "gain": {"node": str(program)}, "sink": c_node(bench, "count")},
                     "edges": [{"from": "source.out", "to": "gain.audio", "queue": 64}, {"from": "gain.out", "to": "sink.in", "queue": 64}]})
        run = bench.run_ok()
        (said,) = run.log("sink")
        assert re.fullmatch(rf"{FRAMES} frames, \d+ ns each", said), said
        node = run.node("gain")
        assert node["language"] == language
        print(f"{language:4} {said}; in the node, process() in C++ or from event to event in C: {node['processing_ns']}")


# ---- the library ------------------------------------------------------------------------------------------------------------


def test_the_library_shows_what_the_header_declares_and_nothing_else() -> None:
    declared = set(re.findall(r"^HAWSE_API .*?\b(hawse_\w+)\(", HEADER.read_text(), re.MULTILINE))
    listed = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True).stdout
    shown = {line.split()[2] for line in listed.splitlines() if line.split()[1] != "A"}  # A: the version's own name
    assert {name.split("@")[0] for name in shown} == declared and len(declared) > 40
    assert {name.partition("@@")[2] for name in shown} == {"HAWSE_NODE_1.0"}


def test_the_library_needs_nothing_but_libc() -> None:
    dynamic = subprocess.run(["readelf", "-d", LIBRARY], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"SONAME.*\[(.*)\]", dynamic) == ["libhawse_node.so.1"]
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed


@pytest.mark.parametrize("compiler", [["gcc", "-std=c11", "-xc"], ["g++", "-std=c++20", "-xc++"], ["clang-14", "-std=c11", "-xc"]], ids=["c11", "c++20", "clang"])
def test_the_header_stands_alone_in_c11_and_in_cpp20(compiler: list[str], tmp_path: pathlib.Path) -> None:
    text = f'#include "{HEADER}"\nHAWSE_SIGNATURE({{"inputs": {{}}}})\nint main(void) {{ return hawse_signature[0] != 123 || hawse_abi_version() != HAWSE_ABI_VERSION; }}\n'
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "-", "-o", tmp_path / "x.o"], input=text, text=True, check=True)


def test_a_program_that_no_run_has_started_says_so() -> None:
    done = subprocess.run([C_NODE], capture_output=True, text=True)
    assert done.returncode == 2
    assert "started by `hawse run`" in done.stderr


def test_loaded_by_itself_it_answers_and_is_unloaded_without_harm() -> None:
    script = f"import ctypes, _ctypes; lib = ctypes.CDLL({str(LIBRARY)!r}); assert lib.hawse_abi_version() == 0x10000; _ctypes.dlclose(lib._handle); print('fine')"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "fine\n"
