"""The viewer's recording inside report.html: everything of a run, also in three dimensions, in one file."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError

REPORT_FILE = "report.html"
_BEGIN, _END = "<!-- recording -->", "<!-- end of the recording -->"
_STYLE = "width:100%;height:34em;border:0"


def put_into_report(folder: Path, recording: str) -> Path:
    """Writes a recording (a whole HTML page) as the last section of FOLDER/report.html, in place of an older one.

    Raises:
        VmError: the folder has no report.
    """
    path = folder / REPORT_FILE
    try:
        page = path.read_text(encoding="utf-8")
    except OSError:
        raise VmError(f"no {REPORT_FILE} in {folder}; expected the folder of a whole run of vm-reconstruct") from None
    with atomic_path(path) as temporary:
        temporary.write_text(with_recording(page, recording), encoding="utf-8")
    return path


def with_recording(page: str, recording: str) -> str:
    """The report's HTML with the recording in a frame of its own; viser's player needs an origin, so no sandbox."""
    frame = f'<iframe style="{_STYLE}" srcdoc="{escape(recording, quote=True)}"></iframe>'
    section = f"{_BEGIN}<section><h2>In three dimensions</h2>{frame}</section>{_END}"
    bare = re.sub(f"{_BEGIN}.*?{_END}", "", page, flags=re.DOTALL)
    head, end, tail = bare.rpartition("</main>" if "</main>" in bare else "</body>")
    return head + section + end + tail
