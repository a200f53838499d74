"""`make bench`: what a name selects, and the form of every benchmark."""

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

from vm_core.errors import VmError

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def run():
    spec = importlib.util.spec_from_file_location("bench_run", FOLDER / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_names_select_benchmarks(run):
    assert set(run.GROUPS["loop"]) <= set(run.find_benchmarks(""))
    assert list(run.find_benchmarks("loop")) == list(run.GROUPS["loop"])
    assert list(run.find_benchmarks("retarget")) == ["retarget"]
    with pytest.raises(VmError, match="no benchmark 'speed'; there are .*faults, .*heightmap, .*loop"):
        run.find_benchmarks("speed")


def test_every_benchmark_takes_the_seed(run):
    for name, path in run.find_benchmarks("").items():
        if name != "loop":  # needs the built messages
            assert list(inspect.signature(run.load(name, path).figures).parameters) == ["seed"], name


def test_recordings_that_are_missing_are_named(run, monkeypatch, tmp_path):
    module = run.load("retarget", FOLDER / "bench_retarget.py")
    import shared_data

    monkeypatch.setattr(shared_data, "FOLDER", tmp_path)
    with pytest.raises(VmError, match="climb/seq_0 is not in .*VM_SHARED_DATA"):
        list(module.figures(0))
