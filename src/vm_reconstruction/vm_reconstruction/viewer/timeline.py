"""The live viewer: a timeline, play and speed, one switch a layer."""

from __future__ import annotations

import threading
import time

import viser

from vm_reconstruction.viewer.layers import LAYERS, ResultLayers
from vm_reconstruction.viewer.recording import look_at, quiet_server
from vm_reconstruction.viewer.result import Result


def serve(result: Result, compared: Result | None, host: str, port: int) -> viser.ViserServer:
    """Starts the server; the timeline runs in a thread of its own until the process ends or the server stops."""
    server = quiet_server(port, host)
    look_at(server, result)
    parts = [ResultLayers(server.scene, result)]
    if compared is not None:
        parts.append(ResultLayers(server.scene, compared, compared=True))
    with server.gui.add_folder("Timeline"):
        frame = server.gui.add_slider("Frame", min=0, max=max(1, result.frames - 1), step=1, initial_value=0)
        playing = server.gui.add_checkbox("Play", True)
        speed = server.gui.add_slider("Speed", min=0.1, max=4.0, step=0.1, initial_value=1.0)
    with server.gui.add_folder("Layers"):
        for layer in LAYERS:
            _switch(server, layer, parts[:1])
        if compared is not None:
            _switch(server, "human", parts[1:], f"human of {compared.name}")

    @frame.on_update
    def _(_: object) -> None:
        with server.atomic():
            for part in parts:
                part.show(int(frame.value))

    def play() -> None:
        while True:
            time.sleep(1.0 / (result.fps * speed.value))
            if playing.value:
                frame.value = (int(frame.value) + 1) % result.frames

    threading.Thread(target=play, daemon=True).start()
    return server


def _switch(server: viser.ViserServer, layer: str, parts: list[ResultLayers], label: str = "") -> None:
    box = server.gui.add_checkbox(label or layer, True)

    @box.on_update
    def _(_: object) -> None:
        for part in parts:
            part.set_visible(layer, box.value)
