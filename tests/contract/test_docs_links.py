"""Every relative link in the documentation leads to a file; package pages stay short."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
SKIPPED = {".venv", ".venv-mediapipe", ".venv-unitree", "build", "install", "out", "runs", ".git"}


def pages() -> list[Path]:
    return [p for p in sorted(ROOT.rglob("*.md")) if not SKIPPED & set(p.relative_to(ROOT).parts)]


def test_links_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken, broken


def test_package_pages_are_short():
    for page in ROOT.glob("src/*/README.md"):
        assert len(page.read_text().splitlines()) < 80, page
