"""`vm-view DIR [--compare OTHER]`: a result in the browser, or with --save as one HTML file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vm_core import command_line


@dataclass(frozen=True)
class Arguments:
    """Shows a result folder in a browser.

    Attributes:
        folder: of vm-reconstruct or vm-retarget.
        compare: another result, drawn in other colours over the first.
        save: write one HTML file that plays by itself, instead of serving.
        into_report: write the same into the folder's report.html, as its last section.
        host: address to serve on; 0.0.0.0 lets other machines look.
        port: to serve on; 0 takes a free one.
        pictures: read the video for the video plane.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    compare: Path | None = None
    save: Path | None = None
    into_report: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    pictures: bool = True


def _main() -> int:
    arguments = tyro.cli(Arguments, prog="vm-view")
    from vm_core.errors import VmError

    try:
        import viser  # noqa: F401  (an optional extra)
    except ImportError:
        raise VmError("vm-view needs viser; install it with: pip install viser==1.1.1") from None
    from vm_reconstruction.report.recording import put_into_report
    from vm_reconstruction.viewer.recording import recording, save_recording
    from vm_reconstruction.viewer.result import Result
    from vm_reconstruction.viewer.timeline import serve

    result = Result.load(arguments.folder, arguments.pictures)
    compared = Result.load(arguments.compare, False) if arguments.compare else None
    if arguments.save is not None:
        save_recording(arguments.save, result, compared)
        print(f"recording: {arguments.save}")
        return 0
    if arguments.into_report:
        print(f"report: {put_into_report(arguments.folder, recording(result, compared))}")
        return 0
    server = serve(result, compared, arguments.host, arguments.port)
    print(f"{result.name}: http://{arguments.host}:{server.get_port()}  (Ctrl-C ends)", flush=True)
    while True:
        time.sleep(3600.0)


def main() -> None:
    """Entry point of vm-view."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
