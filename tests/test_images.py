# SPDX-License-Identifier: Apache-2.0
"""`hawse image ls` and `prune`: who uses an environment, and that nothing goes that somebody uses."""
from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import time
import typing

import pytest
from environments import Place, make_wheel
from harness import HAWSE, WATCHDOG_S, Bench, hawse, needs_engine, wait_for

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}  # so that no image of this machine is touched


@pytest.fixture
def place(bench: Bench) -> Place:
    place = Place(bench)
    place.env.update(NO_ENGINE)
    make_wheel(place.index, "thing", "1.5")
    bench.nodes(
        """
        class Waits(hawse.Node):
            def setup(self, wait: bool = True):
                import thing
                self.wait = wait
                print(thing.version)

            def produce(self) -> hawse.Text:
                import sys, time
                while self.wait:
                    time.sleep(0.05)
                    yield hawse.Text("x")
        """
    )
    bench.write({"nodes": {"waits": {"node": "nodes.py:Waits", "python": {"packages": ["thing"]}}, "sink": {"node": "test/sink"}}, "edges": ["waits -> sink"]})
    return place


def test_what_a_running_session_uses_is_shown_and_kept_and_goes_after_it(place: Place, bench: Bench) -> None:
    process = bench.start(env=place.env)
    try:
        for line in process.stdout:  # type: ignore[union-attr]
            if '"running"' in line:
                break
        (packages,) = place.listed("packages")
        assert packages["what"].endswith(": thing 1.5")
        assert packages["pipelines"] == [str(bench.pipeline)]
        assert packages["used_by"] == [f"{bench.pipeline} (process {process.pid})"]
        assert f"now: {bench.pipeline}" in place.ok("image", "ls")
        told = place.ok("image", "prune", "--older-than", "0s")
        assert "kept packages" in told and f"used by {bench.pipeline}" in told and "0 removed" in told
    finally:
        process.kill()  # the hard way: its use ends with it
        bench.finish(process)
    assert place.listed("packages")[0]["used_by"] == []
    bench.pipeline.rename(bench.pipeline.with_suffix(".moved"))
    assert "1 that is gone" in place.ok("image", "ls")
    told = place.ok("image", "prune", "--older-than", "0s", "--dry-run")
    assert "would remove packages" in told and "1 would be removed" in told
    assert pathlib.Path(packages["place"]).is_dir()
    assert "0 removed" in place.ok("image", "prune", "--older-than", "1d")
    assert "1 removed" in place.ok("image", "prune", "--older-than", "0s")
    assert place.listed("packages") == [] and not pathlib.Path(packages["place"]).exists()


def test_prune_by_size_takes_the_longest_unused_until_the_rest_fits(place: Place, bench: Bench) -> None:
    make_wheel(place.index, "other", "1.0")
    place.ok("build", bench.pipeline)
    first = place.listed("packages")[0]

    time.sleep(1.1)  # last use is kept in seconds
    bench.write({"nodes": {"waits": {"node": "nodes.py:Waits", "python": {"packages": ["thing", "other"]}}, "sink": {"node": "test/sink"}}, "edges": ["waits -> sink"]})
    place.ok("build", bench.pipeline)
    both = place.listed("packages")
    size = sum(each["bytes"] for each in both)
    assert len(both) == 2 and "0 removed" in place.ok("image", "prune", "--keep", f"{size}")
    told = place.ok("image", "prune", "--keep", f"{size - 1}")
    assert f"removed packages {first['name']}" in told and "1 removed" in told
    assert len(place.listed("packages")) == 1


def test_prune_says_what_is_no_size_or_duration(place: Place) -> None:
    for option, value in (("--keep", "much"), ("--older-than", "long")):
        refused = place.hawse("image", "prune", option, value)
        assert refused.returncode == 2 and option in refused.stderr and "hint: write" in refused.stderr


def in_engine(what: str) -> list[str]:
    """What builds have made that is no image of ours yet: containers ("ps -a") or images."""
    dangling = ["--filter", "dangling=true"] if what == "images" else ["-a"]
    return subprocess.run(["docker", what, "-q", *dangling, "--filter", "label=hawse.builder"], capture_output=True, text=True, timeout=WATCHDOG_S).stdout.split()


@needs_engine
@pytest.mark.parametrize("how", ["a run", "prune"])
def test_what_a_killed_build_left_in_the_engine_goes(bench: Bench, how: str) -> None:
    bench.nodes("""
        class Node(hawse.Node):
            def process(self, tensor: hawse.Tensor) -> None: ...
    """)
    manifest = {"source": {"node": "test/source", "params": {"count": 1}}, "node": {"node": "nodes.py:Node", "executor": "container", "container": {"apt": ["hello", "cowsay"]}}}
    bench.write({"nodes": manifest, "edges": ["source -> node"]})
    env = {**os.environ, "HAWSE_STATE": str(bench.folder / "state")}
    before = set(in_engine("images"))
    build = subprocess.Popen([os.fspath(HAWSE), "build", str(bench.pipeline)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: in_engine("ps") or build.poll() is not None, "it installs")
    build.kill()
    build.wait()
    wait_for(lambda: in_engine("ps") == [], "its engine has seen it hang up")
    assert set(in_engine("images")) - before, "else this tests nothing"
    if how == "prune":
        done = hawse("image", "prune", "--older-than", "9999d", env=env)
        assert done.returncode == 0 and "that killed builds had left" in done.stdout, done.stdout + done.stderr
    else:
        del manifest["node"]["container"]  # type: ignore[attr-defined]
        bench.write({"nodes": manifest, "edges": ["source -> node"]})
        bench.run_ok()
    wait_for(lambda: not set(in_engine("images")) - before, "it is gone")


# ---- images, with the real engine: small ones, made here; a state folder of their own ------------------------------------------------


def load_image(folder: pathlib.Path, tag: str, created: str, size: int, **labels: str) -> None:
    """An image of one file, as old as it says: `docker import` makes none but new ones."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        member = tarfile.TarInfo("content")
        member.size = size
        tar.addfile(member, io.BytesIO(os.urandom(size)))
    config = {"created": created, "architecture": "amd64", "os": "linux", "config": {"Labels": {"hawse": "1", **labels}},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}, "history": [{"created": created}]}
    files = {"config.json": json.dumps(config).encode(), "layer.tar": layer.getvalue(),
             "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()}
    with tarfile.open(folder / "image.tar", "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    subprocess.run(["docker", "load", "--input", folder / "image.tar"], check=True, capture_output=True)


OLD, OLDER = "hawse/env:test-old", "hawse/env:test-older"
AGES = ["--older-than", "9000d"]  # older than anything else that this machine's engine may have


@pytest.fixture
def with_images(bench: Bench) -> typing.Iterator[Place]:
    load_image(bench.folder, OLDER, "1981-01-01T00:00:00Z", 30_000, **{"hawse.what": "the older"})
    load_image(bench.folder, OLD, "1995-01-01T00:00:00Z", 20_000, **{"hawse.what": "the old"})
    yield Place(bench)
    subprocess.run(["docker", "rm", "--force", "hawse-test-uses"], capture_output=True)
    subprocess.run(["docker", "rmi", "--force", OLD, OLDER], capture_output=True)


def named(place: Place) -> list[str]:
    return [each["name"] for each in place.listed("image") if each["name"].startswith("hawse/env:test-")]


@needs_engine
def test_images_are_listed_with_what_they_are_and_removed_by_their_first_letters(with_images: Place) -> None:
    (older,) = [each for each in with_images.listed("image") if each["name"] == OLDER]
    assert older["what"] == "the older" and older["bytes"] >= 30_000 and older["created_s"] == older["last_used_s"] == 347155200 and older["used_by"] == []
    shown = next(line for line in with_images.ok("image", "ls").splitlines() if OLDER in line)
    assert "the older" in shown and "days ago" in shown
    done = json.loads(with_images.ok("image", "rm", "test-older", "--json"))
    assert done["removed"] == [f"image {OLDER}: the older"] and done["kept"] == [] and done["freed_bytes"] == older["bytes"]
    assert named(with_images) == [OLD]
    assert subprocess.run(["docker", "image", "inspect", OLDER], capture_output=True).returncode != 0
    assert f"removed image {OLD}: the old" in with_images.ok("image", "rm", OLD)
    refused = with_images.hawse("image", "rm", OLD)
    assert refused.returncode == 2 and "none has a key that begins with" in refused.stderr


@needs_engine
def test_prune_takes_old_images_and_keeps_what_somebodys_container_needs(with_images: Place) -> None:
    made = subprocess.run(["docker", "create", "--name", "hawse-test-uses", OLDER, "true"], capture_output=True, text=True)  # not ours, and not running
    assert made.returncode == 0, made.stderr
    plan = json.loads(with_images.ok("image", "prune", *AGES, "--dry-run", "--json"))
    assert plan["removed"] == [f"image {OLDER}: the older", f"image {OLD}: the old"] and plan["dry_run"] is True
    assert sorted(named(with_images)) == [OLD, OLDER], "nothing is removed"
    told = with_images.ok("image", "prune", *AGES)
    assert f"removed image {OLD}: the old" in told and f"kept image {OLDER}: the older: " in told and "1 removed" in told
    assert named(with_images) == [OLDER]
    subprocess.run(["docker", "rm", "hawse-test-uses"], check=True, capture_output=True)
    assert "1 removed" in with_images.ok("image", "prune", *AGES) and named(with_images) == []
