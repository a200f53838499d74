"""Network front-ends: tiny models with random weights, loaded through the real path; result files are read."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vm_core.errors import VmError
from vm_reconstruction.frontends.mediapipe_pose import LANDMARK_NAMES
from vm_reconstruction.frontends.networks import NetworkFrontend, viewpoint
from vm_reconstruction.frontends.networks import frontend as frontend_module
from vm_reconstruction.frontends.networks.parts import Prompt
from vm_reconstruction.frontends.networks.points import _peaks, body_points
from vm_reconstruction.frontends.networks.result_files import read_geocalib_up, read_megasam, read_monst3r
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages.frames import FrameSource

T, W, H = 3, 96, 128
torch = pytest.importorskip("torch")


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed (requirements/networks.txt)")


def pictures() -> list[np.ndarray]:
    return [np.random.default_rng(t).integers(0, 255, (H, W, 3), np.uint8) for t in range(T)]


def seeing(monkeypatch, frames) -> None:
    """Every part of the front-end reads these pictures."""
    for module in (frontend_module, viewpoint, viewpoint.camera):
        monkeypatch.setattr(module, "read_frames", lambda _: iter(frames))


def tiny_depth(transformers, folder, kind: str) -> str:
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, image_size=28, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, patch_size=14, neck_hidden_sizes=[16, 16, 32, 32],
        fusion_hidden_size=16, head_hidden_size=8, depth_estimation_type=kind, max_depth=20,
    )  # fmt: skip
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return str(folder)


def test_depth_of_saved_weights(transformers, tmp_path):
    from vm_reconstruction.frontends.networks.depth import TransformersDepth

    seen = []
    model = TransformersDepth(tiny_depth(transformers, tmp_path / "metric", "metric"), input_px=56)
    depth = model.depth(pictures(), (24, 32), lambda: seen.append(1))
    assert depth.shape == (T, 32, 24) and depth.dtype == np.float16 and len(seen) == T
    assert float(depth.min()) > 0.0 and float(depth.max()) < 20.0
    with pytest.raises(VmError, match="gives relative depth"):
        TransformersDepth(tiny_depth(transformers, tmp_path / "relative", "relative"))
    with pytest.raises(VmError, match="no weights at"):
        TransformersDepth(str(tmp_path / "nothing"))
    (tmp_path / "metric" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(VmError, match=r"cannot be loaded as DepthAnythingForDepthEstimation"):
        TransformersDepth(str(tmp_path / "metric"))


def test_points_of_saved_weights(transformers, tmp_path):
    from vm_reconstruction.frontends.networks.points import VitPosePoints

    backbone = transformers.VitPoseBackboneConfig(
        image_size=[256, 192], patch_size=[16, 16], hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=37, out_indices=[2], out_features=["stage2"],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17)
    transformers.VitPoseForPoseEstimation(config).save_pretrained(tmp_path / "vitpose")
    boxes = np.array([[20.0, 30, 70, 110], [np.nan] * 4, [0, 0, 96, 128]])
    xy, confidence = VitPosePoints(str(tmp_path / "vitpose")).points(pictures(), boxes, lambda: None)
    assert xy.shape == (T, 17, 2) and not confidence[1].any() and not xy[1].any()
    assert (xy[0] > [-40, -20]).all() and (xy[0] < [130, 170]).all()  # around the box
    assert not confidence[:, [POINTS.index("left_heel"), POINTS.index("right_toe")]].any()  # COCO has no feet


def test_a_known_heat_map_comes_back_where_it_was():
    maps = np.zeros((1, 64, 48))
    maps[0, 20, 30], maps[0, 20, 31], maps[0, 19, 30] = 1.0, 0.5, 0.4
    place, height = _peaks(maps)
    np.testing.assert_allclose(place, [[30.25, 19.75]])
    assert height[0] == 1.0
    at, score = np.arange(46.0).reshape(23, 2), np.linspace(0.1, 0.9, 23)
    xy, confidence = body_points(at, score)
    np.testing.assert_allclose(xy[POINTS.index("head")], at[3:5].mean(axis=0))
    np.testing.assert_allclose(xy[POINTS.index("right_heel")], at[22])
    assert confidence[POINTS.index("left_toe")] == score[17]


@pytest.mark.parametrize("kind", ["sam2", "sam3"])
def test_masks_of_saved_weights(transformers, tmp_path, kind):
    from vm_reconstruction.frontends.networks.masks import SamMasks

    {"sam2": tiny_sam2, "sam3": tiny_sam3}[kind](transformers, tmp_path / kind)
    model, nothing, seen = SamMasks(kind, str(tmp_path / kind)), np.zeros((0, 2)), []
    one = Prompt(1, np.array([20.0, 30, 70, 110]), nothing, nothing)
    other = Prompt(0, np.array([50.0, 10, 90, 100]), np.array([[60.0, 50], [70, 80]]), np.array([[30.0, 60]]))
    told: list[dict] = []
    model._model.prompt_encoder.register_forward_pre_hook(lambda _, __, kw: told.append(kw), with_kwargs=True)
    both = model.scores(pictures(), [one, other], (24, 32), lambda: seen.append(1))
    assert both.shape == (2, T, 32, 24) and both.dtype == np.float16 and np.isfinite(both).all() and len(seen) >= 2 * T
    alone = model.scores(pictures(), [other], (24, 32), lambda: None)[0]
    np.testing.assert_array_equal(both[1], alone)  # the first one's prompt is nothing to the second one
    prompts = [(kw["input_points"], kw["input_labels"]) for kw in told if kw["input_points"] is not None]
    labels = [label.flatten().tolist() for _, label in prompts]
    assert [2, 3] in labels and [2, 3, 1, 1, 0] in labels
    placed = prompts[labels.index([2, 3, 1, 1, 0])][0].reshape(-1, 2).numpy() * [W, H] / model._size
    np.testing.assert_allclose(placed, [[50, 10], [90, 100], [60, 50], [70, 80], [30, 60]], atol=0.6)
    with pytest.raises(VmError, match="masks can be sam2 or sam3; got 'sam9'"):
        SamMasks("sam9", str(tmp_path / kind))


def tiny_sam3(transformers, folder) -> None:
    dim, size, patch = 128, 112, 14
    vision = transformers.Sam3VisionConfig(
        backbone_config=transformers.Sam3ViTConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=size,
            patch_size=patch, window_size=4, global_attn_indexes=[0], pretrain_image_size=56,
        ),
        fpn_hidden_size=dim, backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )  # fmt: skip
    config = transformers.Sam3TrackerVideoConfig(
        vision_config=vision,
        prompt_encoder_config={
            "hidden_size": dim, "image_size": size, "patch_size": patch, "mask_input_channels": 4
        },
        mask_decoder_config={"hidden_size": dim, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": dim},
        memory_attention_hidden_size=dim, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=dim, memory_encoder_output_channels=64, mask_downsampler_embed_dim=dim,
        memory_fuser_embed_dim=dim, memory_fuser_intermediate_dim=32, num_maskmem=3,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Sam3TrackerVideoModel(config).save_pretrained(folder)


def tiny_sam2(transformers, folder) -> None:
    size, dim = 128, 128
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(
            hidden_size=12, num_attention_heads=1, image_size=[size, size], blocks_per_stage=[1, 1, 1, 1],
            embed_dim_per_stage=[12, 24, 48, 96], num_attention_heads_per_stage=[1, 2, 4, 8],
            window_size_per_stage=[2, 2, 2, 2], global_attention_blocks=[0],
            window_positional_embedding_background_size=[4, 4],
        ),
        backbone_channel_list=[96, 48, 24, 12], backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=dim,
    )  # fmt: skip
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": dim, "image_size": size, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": dim, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": dim},
        image_size=size, memory_attention_hidden_size=dim, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=dim,
        memory_encoder_output_channels=64, mask_downsampler_embed_dim=dim, memory_fuser_embed_dim=dim,
        memory_fuser_intermediate_dim=32, num_maskmem=3,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Sam2VideoModel(config).save_pretrained(folder)


class Finder:
    """A person whose landmarks stand in the picture; NaN in the frames `broken`."""

    def __init__(self, broken: tuple[int, ...] = ()):
        self.broken = broken

    def landmarks(self, frames, width, height, static, on_frame):
        count, n = len(list(frames)), len(LANDMARK_NAMES)
        xy = np.tile(np.random.default_rng(0).uniform([20, 20], [70, 110], (n, 2)), (count, 1, 1))
        world = np.tile(np.random.default_rng(1).normal(size=(n, 3)), (count, 1, 1))
        xy[list(self.broken)], world[list(self.broken)] = np.nan, np.nan
        found = ~np.isin(np.arange(count), self.broken)
        masks = np.stack([np.packbits(np.ones(16 * 12, bool))] * count)
        return PoseLandmarks(LANDMARK_NAMES, xy, world, np.tile(found[:, None] * 0.9, (1, n)), found, masks, (12, 16))


def source(tmp_path) -> FrameSource:
    return FrameSource(str(tmp_path), 30.0, T, 1, W, H, W, H, 100.0, "given")


def test_parts_become_observations(transformers, tmp_path, monkeypatch):
    seeing(monkeypatch, pictures())
    config = {"depth": {"model": tiny_depth(transformers, tmp_path / "depth", "metric")}}
    observed = NetworkFrontend(config, Finder(broken=(1,))).observe(source(tmp_path), (1.8,), lambda: None)
    person = observed.people[0]
    assert observed.depth.shape == observed.mask.shape and person.height_m == 1.8
    assert person.found.tolist() == [True, False, True] and not person.confidence[1].any()  # NaN became: not seen
    hips = [POINTS.index("left_hip"), POINTS.index("right_hip")]
    np.testing.assert_allclose(person.points_camera[:, hips].mean(axis=1), 0.0, atol=1e-9)
    with pytest.raises(VmError, match="2 heights; expected one; pose with several tracks of tram follows more"):
        NetworkFrontend(config, Finder()).observe(source(tmp_path), (1.8, 1.7), lambda: None)


def test_depth_pro_is_metric_by_the_field_of_view_that_it_tells():
    from vm_reconstruction.frontends.networks.depth import TransformersDepth

    model = TransformersDepth.__new__(TransformersDepth)
    model._kind, model._focal_shares = "depth_pro", []
    assert model.focal_share is None
    for fov in (60.0, 70.0, 61.0):
        out = SimpleNamespace(predicted_depth=torch.full((1, 4, 4), 0.25), field_of_view=torch.tensor([fov]))
        np.testing.assert_allclose(model._metres(out), 4.0 * 0.5 / np.tan(np.radians(fov / 2)), rtol=1e-5)
    assert model.focal_share == pytest.approx(0.5 / np.tan(np.radians(30.5)), rel=1e-5)


@pytest.mark.parametrize(("known", "focal_px"), [("assumed 62 deg", 0.8 * W), ("given", 100.0)])
def test_the_depth_models_focal_length_replaces_an_assumed_one(tmp_path, monkeypatch, capsys, known, focal_px):
    seeing(monkeypatch, pictures())
    monkeypatch.setattr("vm_reconstruction.frontends.networks.depth.TransformersDepth", lambda *_: Telling())
    asked = replace(source(tmp_path), focal_source=known)
    observed = NetworkFrontend({"depth": {"model": "any"}}, Finder()).observe(asked, (1.8,), lambda: None)
    assert observed.matrix[0, 0] == pytest.approx(focal_px) == observed.matrix[1, 1]
    assert ("the depth model's is used: 64 deg" in capsys.readouterr().err) == (known != "given")


class Telling:
    """A depth model that knows the camera."""

    focal_share = 0.8

    def depth(self, frames, size, on_frame):
        return np.full((T, size[1], size[0]), 3.0, np.float16)


def test_megasams_file_gives_cameras_and_depth(tmp_path, monkeypatch):
    seeing(monkeypatch, pictures())
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, 0, 3] = [1.0, 1.2, 1.5]
    depths = np.full((T, 64, 48), 2.0)
    depths[0, :, :10] = np.nan
    np.savez(tmp_path / "a.npz", depths=depths, cam_c2w=poses, intrinsic=np.diag([60.0, 60, 1]), images=np.zeros(1))
    found = read_megasam(tmp_path / "a.npz", (24, 32))
    np.testing.assert_allclose(found.center[:, 0], [0.0, 0.2, 0.5])  # from the first camera on
    assert found.depth is not None and found.focal_share == 60 / 48 and not found.depth[0, :, 0].any()
    config = {"depth": {}, "cameras": {"megasam": str(tmp_path / "a.npz")}}
    observed = NetworkFrontend(config, Finder()).observe(source(tmp_path), (1.8,), lambda: None)
    assert observed.matrix[0, 0] == pytest.approx(60 / 48 * W)
    with pytest.raises(VmError, match="has 3 frames, .* 5; expected the same"):
        NetworkFrontend(config, Finder()).observe(replace(source(tmp_path), num_frames=5), (1.8,), lambda: None)
    np.savez(tmp_path / "b.npz", other=1)
    with pytest.raises(VmError, match="no result of MegaSaM"):
        read_megasam(tmp_path / "b.npz", (24, 32))


def write_monst3r(folder, R_world_camera, center, depth, focal_px: float) -> None:
    """As `scene.save_tum_poses`, `save_intrinsics` and `save_depth_maps` do."""
    xyzw = Rotation.from_matrix(R_world_camera).as_quat()
    rows = [[t, *center[t], xyzw[t, 3], *xyzw[t, :3]] for t in range(len(center))]
    (folder / "pred_traj.txt").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    matrix = [focal_px, 0, depth.shape[2] / 2, 0, focal_px, depth.shape[1] / 2, 0, 0, 1]
    np.savetxt(folder / "pred_intrinsics.txt", np.tile(matrix, (len(center), 1)), fmt="%.6f")
    for t, picture in enumerate(depth):
        np.save(folder / f"frame_{t:04d}.npy", picture)


def test_monst3rs_folder_gives_cameras_and_depth(tmp_path, monkeypatch):
    seeing(monkeypatch, pictures())
    turns = Rotation.from_euler("xyz", [[0.3, 0.2, 0.1], [0.35, 0.1, 0.1], [0.4, 0.0, 0.2]]).as_matrix()
    centers = np.array([[1.0, 2.0, 3.0], [1.1, 2.0, 3.0], [1.2, 2.1, 3.0]])
    write_monst3r(tmp_path, turns, centers, np.full((T, 64, 48), 2.0), 60.0)
    found = read_monst3r(tmp_path, (24, 32))
    np.testing.assert_allclose(found.R_world_camera, turns[0].T @ turns, atol=1e-6)
    np.testing.assert_allclose(found.center, (centers - centers[0]) @ turns[0], atol=1e-6)
    assert found.focal_share == pytest.approx(60 / 48) and found.depth is not None and found.depth.shape == (T, 32, 24)
    config = {"depth": {}, "cameras": {"monst3r": str(tmp_path)}}
    assert NetworkFrontend(config, Finder()).observe(source(tmp_path), (1.8,), lambda: None).depth.max() == 2.0
    (tmp_path / "frame_0002.npy").unlink()
    with pytest.raises(VmError, match=r"2 depths, trajectory \(3, 8\)"):
        read_monst3r(tmp_path, (24, 32))
    with pytest.raises(VmError, match="no result of MonST3R"):
        read_monst3r(tmp_path / "none", (24, 32))


def test_geocalibs_vectors_of_all_frames_become_one_vertical(tmp_path):
    turns = Rotation.from_euler("xyz", np.random.default_rng(0).normal(0, 0.3, (9, 3))).as_matrix()
    turns = turns[0].T @ turns
    up = np.array([0.05, -0.99, 0.1]) / np.linalg.norm([0.05, -0.99, 0.1])
    vectors = np.einsum("tji,j->ti", turns, up)
    vectors[4] = [1.0, 0.0, 0.0]  # one frame without a horizon
    np.savez(tmp_path / "all.npz", gravity=vectors)
    np.testing.assert_allclose(read_geocalib_up(tmp_path / "all.npz", turns), up, atol=1e-6)
    np.save(tmp_path / "first.npy", vectors[:1])
    np.testing.assert_allclose(read_geocalib_up(tmp_path / "first.npy", turns), up, atol=1e-6)
    np.savez(tmp_path / "few.npz", gravity=vectors[:4])
    with pytest.raises(VmError, match="4 vectors for 9 frames"):
        read_geocalib_up(tmp_path / "few.npz", turns)
    np.savez(tmp_path / "other.npz", roll=0.0)
    with pytest.raises(VmError, match="no vectors of GeoCalib"):
        read_geocalib_up(tmp_path / "other.npz", turns)


@pytest.mark.parametrize(
    ("text", "message"),
    [("nonsense", "no config of networks"), ("[]", "expected a JSON object"), ("{}", "lacks depth"),
     (json.dumps({"depth": {}, "dept": 1}), "has 'dept'")],
)  # fmt: skip
def test_configs_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(VmError, match=message):
        NetworkFrontend.from_file(tmp_path / "c.json")
