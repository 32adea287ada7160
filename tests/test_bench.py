# SPDX-License-Identifier: Apache-2.0
"""`hawse bench` as a user meets it: that the whole table comes, is kept, compared and exported. No time is judged."""
from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing

import pytest
from harness import ENGINE, HAWSE, hawse

FAST = ["plane/round-trip-64-sleeping", "start/executor-native"]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("bench") / "bench.sqlite")


@pytest.fixture(scope="module")
def table(record: str) -> dict[str, typing.Any]:
    """The whole table, quickly, without peers."""
    done = hawse("bench", "--quick", "--record", record, "--json", "-", "--quiet")
    assert done.returncode == 0, done.stderr
    return typing.cast("dict[str, typing.Any]", json.loads(done.stdout))


def test_every_row_has_a_figure_a_fact_or_the_reason_why_not(table: dict[str, typing.Any]) -> None:
    listed = hawse("bench", "--list").stdout.splitlines()[1:-1]
    assert [line.split()[0] for line in listed] == [row["id"] for row in table["rows"]]
    without: list[str] = []
    for row in table["rows"]:
        for series in row["series"]:
            figures = [summary for summary in series["summaries"] if summary["samples"] > 0]
            if not figures and not series["missing"]:
                without.append(f"{row['id']}: {series['key']}")
            without += [f"{row['id']}: {series['key']}: {series['missing']}"] if (series["missing"] or "").startswith("failed") else []
        if not row["series"] and not row["facts"] and not row["missing"]:
            without.append(row["id"])
    assert without == []


def test_every_boundary_that_was_probed_held(table: dict[str, typing.Any]) -> None:
    if not ENGINE:
        pytest.skip("no container engine answers on this machine")
    facts = [fact for row in table["rows"] if row["id"] == "isolation" for fact in row["facts"] if fact["variant"] == "container"]
    assert len(facts) >= 8
    assert [fact for fact in facts if fact["ok"] is False] == []


def test_says_what_machine_the_figures_are_of(table: dict[str, typing.Any]) -> None:
    assert table["machine"]["cpu"] and table["machine"]["kernel"].startswith("Linux") and table["machine"]["cores"] == os.cpu_count()
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|unknown", table["run"]["commit"])


def test_a_run_is_kept_compared_and_exported(record: str, table: dict[str, typing.Any], tmp_path: pathlib.Path) -> None:
    assert hawse("bench", *FAST, "--quick", "--record", record, "--save-baseline", "before", "--quiet").returncode == 0
    again = hawse("bench", *FAST, "--quick", "--record", record, "--baseline", "before", "--quiet")
    assert again.returncode == 0, again.stderr
    assert "compared" in again.stdout
    history = hawse("bench", "history", "--record", record).stdout
    assert "before" in history and "hawse bench --quick" in history
    compared = hawse("bench", "compare", "before", "last", "--all", "--record", record)
    assert compared.returncode == 0 and "plane/round-trip-64-sleeping" in compared.stdout
    exported = hawse("bench", "export", "last", "--record", record, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(exported.stdout)))
    assert {row["row"] for row in rows} == set(FAST)
    files = {kind: tmp_path / f"bench.{kind}" for kind in ("html", "markdown")}
    assert hawse("bench", "export", "before", "--record", record, "--html", str(files["html"]), "--markdown", str(files["markdown"])).returncode == 0
    assert "<html" in files["html"].read_text() and "| " in files["markdown"].read_text()
    assert hawse("bench", "baseline", "--record", record).stdout.count("before") == 1
    assert hawse("bench", "baseline", "--remove", "before", "--record", record).returncode == 0
    assert hawse("bench", "compare", "before", "last", "--record", record).returncode == 2


def test_an_unknown_row_gets_the_nearest_one() -> None:
    done = hawse("bench", "start/pyhton")
    assert done.returncode == 2
    assert "did you mean 'start/python'?" in done.stderr


def test_a_record_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    done = hawse("bench", *FAST, "--quick", "--record", str(tmp_path / "file" / "bench.sqlite"))
    assert done.returncode != 0
    assert str(tmp_path / "file") in done.stderr and "pass" not in done.stderr


def test_ctrl_c_ends_it_with_what_was_measured_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    bench = subprocess.Popen([HAWSE, "bench", "--full", "plane", "--record", str(tmp_path / "b.sqlite")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    bench.send_signal(signal.SIGINT)
    out, err = bench.communicate(timeout=120)
    assert bench.returncode == 130
    assert "interrupted" in err and "plane" in out
