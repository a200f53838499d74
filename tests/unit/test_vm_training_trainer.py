"""Runs: they learn, go on exactly where they were killed, and keep what they had when something breaks."""

import errno
import importlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vm_core.errors import VmError
from vm_training.rl.run_folder import CURVE_FILE, PICTURE_FILE, RunFolder, read_checkpoint
from vm_training.rl.trainer import Trainer

sys.path.append(str(Path(__file__).parent))
tiny = importlib.import_module("vm_training_tiny_run")
PROGRAM = Path(__file__).with_name("vm_training_tiny_run.py")


def curve(path: Path) -> list[dict]:
    return json.loads((path / CURVE_FILE).read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    tiny.tiny_run(out)
    return out


@pytest.mark.parametrize("overlap", [True, False])
def test_it_learns(tmp_path, overlap):
    config = replace(tiny.CONFIG, iterations=60, save_every=30, overlap=overlap)
    records = tiny.tiny_run(tmp_path / "run", config).records
    first, last = (sum(r["reward"] for r in part) / 5 for part in (records[:5], records[-5:]))
    assert last > 0.5 * first, f"reward {first:.3f} to {last:.3f}"


@pytest.mark.parametrize("late", ["_collect", "_learn"])
def test_figures_are_the_same_whoever_is_late(tmp_path, monkeypatch, late):
    """The learner may end before the robots have acted once, or after they have gathered the next batch."""
    config = replace(tiny.CONFIG, iterations=6, save_every=6)
    expected = tiny.tiny_run(tmp_path / "run", config).records
    hurried = getattr(Trainer, late)

    def delayed(self, storage):
        time.sleep(0.3)
        return hurried(self, storage)

    monkeypatch.setattr(Trainer, late, delayed)
    assert json.dumps(tiny.tiny_run(tmp_path / "late", config).records) == json.dumps(expected)
    assert len({record["std"] for record in expected[1:]}) > 2


def newest(path: Path) -> int:
    return max(RunFolder(path, "tiny").checkpoints(), default=0)


def test_a_run_killed_twenty_times_ends_with_the_same_curve(tmp_path, monkeypatch):
    """At random moments; each life begins with the last checkpoint of the one before."""
    config, rng = replace(tiny.CONFIG, iterations=100, save_every=4), random.Random(0)
    out, whole = tmp_path / "run", tmp_path / "whole"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for the server, which would not find the module
    lives = multiprocessing.get_context("forkserver")  # a new process without a new start of torch
    lives.set_forkserver_preload(["vm_training_tiny_run"])
    reached, kills = [0], 0
    for _ in range(20):
        life = lives.Process(target=tiny.go_on, args=(out, config, 0.01))
        life.start()
        goes_to, deadline = reached[-1] + rng.choice([0, 4]), time.monotonic() + 60.0
        while newest(out) < goes_to and time.monotonic() < deadline:
            time.sleep(0.01)
        life.join(rng.uniform(0.0, 0.3))
        life.kill()
        life.join()
        kills += life.exitcode == -signal.SIGKILL
        reached.append(newest(out))
    assert kills == 20 and reached == sorted(reached) and 16 <= reached[-1] < config.iterations
    records = [tiny.go_on(out, config).records, tiny.tiny_run(whole, config).records]
    assert curve(out) == curve(whole) == json.loads(json.dumps(records[0])) == json.loads(json.dumps(records[1]))
    states = [read_checkpoint(RunFolder(path, "tiny").checkpoint(config.iterations)) for path in (out, whole)]
    for name, tensor in states[0]["ppo"]["actor_state_dict"].items():
        assert torch.equal(tensor, states[1]["ppo"]["actor_state_dict"][name]), name


def test_the_folder_says_what_made_it(whole):
    about = json.loads((whole / "config.json").read_text())
    assert about["task"] == "tiny" and about["config"]["iterations"] == 20 and about["commit"]
    assert about["versions"]["rsl-rl-lib"] != "not installed"
    assert (whole / PICTURE_FILE).is_file() and list((whole / "tensorboard").iterdir())
    assert RunFolder(whole, "tiny").checkpoints() == [12, 16, 20]


def test_a_number_that_is_none_stops_the_run(tmp_path):
    with pytest.raises(VmError, match="not a number in iteration 4.*last checkpoint is of iteration 4"):
        _break_in_second_segment(tmp_path / "run")
    assert list((tmp_path / "run").glob("nan_*.pt"))
    assert RunFolder(tmp_path / "run", "tiny").checkpoints() == [0, 4]


def _break_in_second_segment(out: Path) -> None:
    made = []

    def make(seed: int):
        made.append(seed)
        return tiny.TinyEnv(seed, broken_at=3 if len(made) == 2 else -1)

    folder = RunFolder(out, "tiny")
    folder.begin(tiny.CONFIG, False)
    task = replace(tiny.tiny_task(), make_env=make)
    tiny.Trainer(task, tiny.CONFIG, folder).run()


def test_a_full_disk_leaves_earlier_checkpoints(whole, monkeypatch):
    folder = RunFolder(whole, "tiny")
    before = {k: folder.checkpoint(k).read_bytes() for k in folder.checkpoints()}

    def full(self, data):
        with self.open("wb") as stream:
            stream.write(bytes(data)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        VmError, match="checkpoint not written .No space left on device.; the last one is of iteration 20"
    ):
        folder.save(24, {"ppo": {}, "records": [], "task_state": {}})
    monkeypatch.undo()
    assert {k: folder.checkpoint(k).read_bytes() for k in folder.checkpoints()} == before
    assert not list(whole.glob(".checkpoint*"))


def test_wrong_folders_and_checkpoints_are_one_line(whole, tmp_path):
    with pytest.raises(VmError, match="holds a run; --resume"):
        RunFolder(whole, "tiny").begin(tiny.CONFIG, False)
    with pytest.raises(VmError, match="a run of 'tiny'; this is 'other'"):
        RunFolder(whole, "other").begin(tiny.CONFIG, True)
    with pytest.raises(VmError, match="begun with another gamma"):
        RunFolder(whole, "tiny").begin(replace(tiny.CONFIG, gamma=0.5), True)
    with pytest.raises(VmError, match="no run there"):
        RunFolder(tmp_path, "tiny").begin(tiny.CONFIG, True)
    checkpoint = RunFolder(whole, "tiny").checkpoint(20)
    with pytest.raises(VmError, match="checkpoint of 'tiny'; expected one of 'other'"):
        read_checkpoint(checkpoint, "other")
    (tmp_path / "checkpoint_000001.pt").write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(VmError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "checkpoint_000001.pt")
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "format_version": 0}, tmp_path / "old.pt")
    with pytest.raises(VmError, match="version 0; this reads 1"):
        read_checkpoint(tmp_path / "old.pt")


def test_another_contract_is_refused(whole):
    folder = RunFolder(whole, "tiny")
    task = tiny.tiny_task()
    task.contract = replace(task.contract, control_period_s=0.01)
    with pytest.raises(VmError, match="another contract"):
        tiny.Trainer(task, tiny.CONFIG, folder).resume()
    with pytest.raises(VmError, match="other networks"):
        tiny.Trainer(tiny.tiny_task(), replace(tiny.CONFIG, hidden=(8,)), folder).resume()


def test_two_processes_learn_one_policy(whole, tmp_path):
    """Started by torchrun, over gloo: the same weights on both, twice the experience, not what one alone learns."""
    out = tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launch, str(PROGRAM), str(out), "0"], check=True, capture_output=True, timeout=300)
    first, second = (torch.load(out / f"rank_{k}.pt", weights_only=True) for k in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert curve(out)[-1]["steps"] == 2 * curve(whole)[-1]["steps"]
    alone = read_checkpoint(RunFolder(whole, "tiny").checkpoint(20))["ppo"]["actor_state_dict"]
    assert not all(torch.equal(first[name], alone[name]) for name in first)
