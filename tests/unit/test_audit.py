"""The dependency audit: what it objects to, and that it never fails for want of a network."""

import json
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "requirements"))
import audit

VULNERABLE = {"dependencies": [{"name": "soft", "version": "1.0", "vulns": [{"id": "X-1", "fix_versions": ["1.1"]}]}]}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program in place of pip-audit."""

    def put(body: str) -> None:
        path = tmp_path / "pip-audit"
        path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setattr(audit.shutil, "which", lambda *_, **__: str(path))

    return put


def test_unknown_and_copyleft_licences_are_named():
    packages = {"good": "MIT License", "mixed": "MIT AND AGPL-3.0", "silent": "", "qpsolvers": "LGPLv3", "vm-core": ""}
    assert [line.split(":")[0] for line in audit.objections(packages)] == ["mixed", "silent"]


def test_what_is_installed_here_has_been_reviewed():
    from importlib import metadata

    assert audit.objections({d.metadata["Name"]: audit.licence_of(d) for d in metadata.distributions()}) == []


def test_known_vulnerabilities_are_listed(program):
    program(f"print({json.dumps(json.dumps(VULNERABLE))}); sys.exit(1)")
    assert audit.known_vulnerabilities() == (["soft 1.0: X-1, mended in 1.1"], "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('Max retries exceeded', file=sys.stderr); sys.exit(1)", "no network"),
        ("print('odd', file=sys.stderr); sys.exit(3)", "could not look: odd"),
        ("print('[]')", "could not look"),
    ],
)
def test_without_an_answer_nothing_fails_and_it_is_said(program, body, words, capsys):
    program(body)
    found, silence = audit.known_vulnerabilities()
    assert found == [] and words in silence
    assert audit.main() == 0
    assert "known vulnerabilities not looked up" in capsys.readouterr().out


def test_without_pip_audit_it_is_said(monkeypatch):
    monkeypatch.setattr(audit.shutil, "which", lambda *_, **__: None)
    assert "not installed" in audit.known_vulnerabilities()[1]
