"""A result as one HTML file that plays in any browser, without a server."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import viser

from vm_core.atomic_files import atomic_path
from vm_reconstruction.viewer.layers import ResultLayers
from vm_reconstruction.viewer.result import Result

MOST_FRAMES = 300  # of a recording: longer results are thinned out, the file would not open


def recording(result: Result, compared: Result | None = None, port: int = 0) -> str:
    """The page; the timeline of viser's player runs at the result's own speed."""
    server = quiet_server(port)
    try:
        look_at(server, result)
        layers = [ResultLayers(server.scene, result)]
        if compared is not None:
            layers.append(ResultLayers(server.scene, compared, compared=True))
        serializer = server.get_scene_serializer()
        step = max(1, -(-result.frames // MOST_FRAMES))
        for frame in range(0, result.frames, step):
            for part in layers:
                part.show(frame)
            serializer.insert_sleep(step / result.fps)
        return serializer.as_html()
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            server.stop()


def save_recording(path: Path, result: Result, compared: Result | None = None) -> None:
    """Writes the page; it appears whole or not at all."""
    page = recording(result, compared)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def quiet_server(port: int, host: str = "127.0.0.1") -> viser.ViserServer:
    """A server that prints nothing of its own; port 0 takes a free one."""
    if port == 0:
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    with contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(host=host, port=port, verbose=False)
    server.scene.set_up_direction("+z")
    return server


def look_at(server: viser.ViserServer, result: Result) -> None:
    """The first view: from where the video's camera was, else the whole way from its side."""
    lead = result.people[0].joint("pelvis") if result.people else result.clip.root_pos_world  # type: ignore[union-attr]
    middle = lead.mean(axis=0)
    away = max(3.5, 1.2 * float((lead.max(axis=0) - lead.min(axis=0)).max()))
    place = middle + [0.4 * away, -away, 0.0]
    if result.track is not None:  # walls that the video's camera saw from inside hide everything from outside
        place = result.track.T_world_camera[0, :3, 3]
    server.initial_camera.look_at = (float(middle[0]), float(middle[1]), 0.8)
    server.initial_camera.position = (float(place[0]), float(place[1]), max(float(place[2]), 0.5 * away) + 0.3)
