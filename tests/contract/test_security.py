"""What a policy file, a parameter or a topic must not be able to do: read other files, or run code."""

import ast
from pathlib import Path

import numpy as np
import onnx
import policy_files as files
import pytest

from vm_core.errors import VmError
from vm_policy_node.node_setup import make_controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.parameters import PARAMETERS

SOURCE = Path(__file__).resolve().parents[2] / "src"
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
PICKLES = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib"}
REFUSES = ("tram.py",)
"""What reads pickles of others and refuses every name in them that is not of tensors and arrays."""


@pytest.mark.parametrize("where", ["weights.bin", "../weights.bin", "{folder}/weights.bin"])
def test_a_policy_cannot_take_its_weights_from_other_files(tmp_path, monkeypatch, where):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for folder in (tmp_path, work):
        files.WEIGHTS.astype(np.float32).tofile(folder / "weights.bin")
    model = onnx.load_model_from_string(files.write(tmp_path / "p.onnx").read_bytes())
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, where.format(folder=tmp_path))
    tensor.ClearField("raw_data")
    (work / "p.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(VmError, match="damaged or not an ONNX network"):
        OnnxPolicy.load(work / "p.onnx")


@pytest.mark.parametrize("name", ["policy", "second_policy", "reference", "report", "flight_folder"])
def test_the_node_stays_in_the_folders_that_are_allowed(tmp_path, monkeypatch, name):
    values = {key: parameter.default for key, parameter in PARAMETERS.items()}
    values["policy"] = str(files.write(tmp_path / "p.onnx"))
    monkeypatch.setenv("VM_ALLOWED_PATHS", str(tmp_path))
    make_controller(values)
    values[name] = "/etc/passwd"
    with pytest.raises(VmError, match=f"parameter {name}: /etc/passwd is not allowed here"):
        make_controller(values)


def test_parameters_that_name_files_cannot_change_while_the_node_runs():
    for name, parameter in PARAMETERS.items():
        if isinstance(parameter.default, str):
            assert not parameter.changeable, name


def calls(tree: ast.AST) -> set[str]:
    """Names of plain functions that are called, and `name=True` arguments that open a shell or a pickle."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                found.add(node.func.id)
            found |= {
                f"{keyword.arg}=True"
                for keyword in node.keywords
                if keyword.arg in ("shell", "allow_pickle")
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value is True
            }
    return found


def whole_pickles(tree: ast.AST) -> set[str]:
    """What would open any pickle: functions of the module, and an Unpickler that nobody has restricted."""
    used = {
        f"pickle.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle"
    }
    own = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    refusing = any(
        ast.unparse(base) == "pickle.Unpickler" and any(getattr(part, "name", "") == "find_class" for part in node.body)
        for node in own
        for base in node.bases
    )
    return used - {"pickle.UnpicklingError", *(["pickle.Unpickler"] if refusing else [])}


def test_no_source_runs_text_or_pickles():
    for path in sorted(SOURCE.glob("*/*/**/*.py")):
        tree = ast.parse(path.read_text())
        imported = {
            alias.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
        } | {str(n.module).split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        if path.name in REFUSES:
            assert whole_pickles(tree) == set(), f"{path}: {whole_pickles(tree)}"
        else:
            assert not imported & PICKLES, f"{path}: {imported & PICKLES}"
        bad = calls(tree) & (RUNS_CODE | {"shell=True", "allow_pickle=True"})
        assert not bad, f"{path}: {bad}"


def test_yaml_is_only_loaded_safely():
    for path in sorted(SOURCE.glob("*/*/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml":
                assert node.attr not in ("load", "unsafe_load", "full_load"), path
