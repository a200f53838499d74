"""vm-view: one HTML file that a browser without a screen shows; live layers move with the timeline."""

import html
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_vm_reconstruction_retarget import stepping_up

from vm_core.errors import VmError
from vm_reconstruction.retarget import retarget

viser = pytest.importorskip("viser", reason="viser is not installed (pip install viser==1.1.1)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("result")
    motion, scene = stepping_up()
    result = retarget(motion, scene)
    motion.save(out / "human.npz")
    (out / "stages").mkdir()
    scene.save(out / "stages" / "scene")
    result.clip.save(out / "clip.npz")
    result.scene.save(out / "scene")
    return out


def test_layers_follow_the_timeline(folder):
    from vm_reconstruction.viewer.layers import LAYERS, ResultLayers
    from vm_reconstruction.viewer.recording import quiet_server
    from vm_reconstruction.viewer.result import Result

    result = Result.load(folder)
    assert result.clip is not None
    server = quiet_server(0)
    try:
        layers = ResultLayers(server.scene, result)
        layers.show(20)  # the left foot is in the air
        joints, _ = layers._people[0]
        np.testing.assert_allclose(joints.batched_positions, result.people[0].joint_pos_world[20], atol=1e-6)
        assert [mark.visible for mark in layers._contacts[0]] == [False, True, False]
        body, mesh = layers._links[-1]
        np.testing.assert_allclose(
            np.array(mesh.position) - layers._beside, result.clip.body_pos_world[20, body], atol=1e-6
        )
        layers.set_visible("robot", False)
        assert not layers._roots["robot"].visible and set(layers._roots) == set(LAYERS)
    finally:
        server.stop()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (set-up installs it when run as root)")
def test_a_recording_is_seen_in_a_browser(folder, tmp_path):
    command = [str(Path(sys.executable).parent / "vm-view"), str(folder), "--compare", str(folder)]
    done = subprocess.run(
        [*command, "--save", str(tmp_path / "view.html")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "shot.png"
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
    flags += ["--window-size=640,480", "--virtual-time-budget=8000", f"--user-data-dir={tmp_path / 'profile'}"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(
        [CHROMIUM, *flags, f"--screenshot={picture}", (tmp_path / "view.html").as_uri()],
        capture_output=True, timeout=150, env=environment, check=True,
    )  # fmt: skip
    image = cv2.imread(str(picture))
    assert image is not None
    seen = image.astype(int)[120:430]  # without the player's bar and notes
    blue, green, red = seen[..., 0], seen[..., 1], seen[..., 2]
    person = (green > blue + 60) & (blue < 120) | (blue > red + 40) & (
        green > red + 40
    )  # orange, and the compared cyan
    dark = (seen.max(axis=-1) < 140) & (np.ptp(seen, axis=-1) < 40)  # the robot
    assert person.sum() > 150 and dark.sum() > 300


def test_a_folder_without_results(tmp_path):
    from vm_reconstruction.viewer.result import Result

    with pytest.raises(VmError, match="neither human.npz nor clip.npz"):
        Result.load(tmp_path)


def test_the_recording_stands_in_the_report_once(tmp_path):
    from vm_reconstruction.report.recording import put_into_report

    with pytest.raises(VmError, match=r"no report.html in"):
        put_into_report(tmp_path, "<html></html>")
    (tmp_path / "report.html").write_text("<html><body><p>rows</p></body></html>")
    for name in ("first", "second"):
        put_into_report(tmp_path, f'<html><script>let x = "{name}" < 1;</script></html>')
    page = (tmp_path / "report.html").read_text()
    assert page.count("<iframe") == 1 and "second" in page and "first" not in page
    assert page.endswith("</body></html>") and "<p>rows</p>" in page
    assert html.unescape(page.partition('srcdoc="')[2].partition('"></iframe>')[0]).endswith("</script></html>")
