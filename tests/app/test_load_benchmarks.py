"""The scripts that measure load and soak, on a tiny model: the figures must be there and be honest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def measure(checkpoint_file, tmp_path):
    def run(script, *flags):
        out = tmp_path / "out.json"
        command = [sys.executable, f"benchmarks/{script}.py", "--checkpoint", str(checkpoint_file), "--quick"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [*command, "--out", str(out), *flags],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        return json.loads(out.read_text())

    return run


def test_load_answers_everyone_as_a_single_visitor_is_answered(measure):
    (one_worker,) = measure("load", "--workers", "1")["workers"]
    seen = [(row["way"], row["users"]) for row in one_worker["measured"]]
    assert seen == [("page", 1), ("page", 2), ("api", 1), ("api", 2)]
    for row in one_worker["measured"]:
        for part in (row["cold"], row["known"]):
            assert part["answered"] == part["requests"] == row["users"]
            assert part["refused"] == {}
            assert part["silent"] == part["different_from_serial"] == 0
            assert 0 < part["p50_s"] <= part["p95_s"] <= part["p99_s"]


def test_soak_tells_memory_and_uploads(measure):
    told = measure("soak", "--workers", "1")
    assert told["outcomes"] == {"ok": 24}
    assert len(told["memory_mb"]) == 24
    assert all(megabytes > 50 for _, megabytes in told["memory_mb"])
    for (_, held), own in zip(told["memory_mb"], told["own_memory_mb"], strict=True):
        assert own["decoders"] > 5
        assert own["rest"] > 50
        assert own["decoders"] + own["rest"] < 1.1 * held  # a moment later
    assert told["uploads_files"] >= 48
    assert told["growth_in_all_percent"] < 20  # a leak of pictures would show even here


def test_batching_tells_whether_bits_stay(measure):
    ways = {way["way"]: way for way in measure("batching")["ways"]}
    assert ways["one by one"]["bit_identical"]
    assert {"batches of 2", "batches of 4", "batches of 8"} < set(ways)
    assert all(way["pictures_per_s"] > 0 for way in ways.values())
