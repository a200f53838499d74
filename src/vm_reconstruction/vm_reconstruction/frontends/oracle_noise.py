"""How wrong networks are: the levels of the noisy oracle, with where each comes from.

None of these was measured by this project: [issue] are given by the project's plan, [paper] are published figures as
remembered (they set an order of magnitude), [choice] are this project's.

| what | level | source |
|---|---|---|
| 2D points | standard deviation 0.5 of COCO's per-joint annotation spread k*sqrt(area), half of it slow | [paper] COCO keypoint evaluation, sigmas 0.026-0.107; ViTPose errs less than annotators differ |
| left/right swaps | 2 % of frames, in runs of 2 to 6 | [paper] Ronchi & Perona 2017: inversions are a few per cent of errors |
| 3D pose | 70 mm mean per joint, root-relative, mostly slow and along the line of sight | [issue] 60-80 mm |
| depth, scale | any, log-uniform in 0.2-5 | [issue] unknown |
| depth, low-frequency warp | 4 % standard deviation, cells of a third of the picture; half of it lasts, half lives about 1 s | [paper] metric depth networks: relative error 4-10 % |
| depth, flicker | 1 % of the whole picture, frame by frame | [choice] |
| flying edges | 60 % of the pixels at depth jumps lie between both sides | [issue], share [choice] |
| camera drift | position 1.2 % of the way, turns 0.25 deg per root second, jitter 0.03 deg | [paper] MegaSaM, DROID-SLAM: 1 % of the way |
| first-frame vertical | roll 0.6 deg, pitch 1.2 deg | [paper] GeoCalib: median below 1 and about 1 deg |
| missed people | 2 % of frames in runs of 2 to 8 | [choice] |
| hidden joints | noise x3, confidence 0.15-0.5; outside the picture: nothing | [choice] |
"""  # noqa: E501 a table

from __future__ import annotations

from dataclasses import dataclass

from vm_core.errors import VmError


@dataclass(frozen=True)
class OracleNoise:
    """Levels; `strength` multiplies all but the unknown scale.

    Attributes:
        strength: 1: as the table above; 0: exact observations in unknown units.
        keypoint_share: of COCO's spread.
        swap_share, miss_share: of frames.
        pose_m: mean 3D error per joint [m].
        warp, flicker: relative depth errors.
        flying_share: of edge pixels.
        drift_share: of the camera's way; turn_deg: per root second; jitter_deg: per frame.
        roll_deg, pitch_deg: of the first frame's vertical.
        scale_range: largest factor between units and metres, either way.
    """

    strength: float = 1.0
    keypoint_share: float = 0.5
    swap_share: float = 0.02
    miss_share: float = 0.02
    pose_m: float = 0.070
    warp: float = 0.04
    flicker: float = 0.01
    flying_share: float = 0.6
    drift_share: float = 0.012
    turn_deg: float = 0.25
    jitter_deg: float = 0.03
    roll_deg: float = 0.6
    pitch_deg: float = 1.2
    scale_range: float = 5.0

    def __post_init__(self) -> None:
        if self.strength < 0 or self.scale_range < 1:
            raise VmError(f"noise strength {self.strength} must be >= 0, scale range {self.scale_range} >= 1")
