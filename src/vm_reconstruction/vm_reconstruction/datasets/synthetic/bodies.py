"""The set's people: six phenotypes of Anny at any height, dressed from a seed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.demo.posed_body import Clothes, Color, PosedBody

BODIES_FILE = Path(__file__).with_name("bodies.npz")
PHENOTYPE_COUNT = 6
_SKINS: tuple[Color, ...] = ((0.86, 0.66, 0.54), (0.72, 0.50, 0.38), (0.45, 0.30, 0.21), (0.60, 0.42, 0.30))


@lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray]:
    with np.load(BODIES_FILE, allow_pickle=False) as data:
        return dict(data)


def load_body(phenotype: int, height_m: float, clothes_seed: int) -> PosedBody:
    """A dressed person.

    Args:
        phenotype: 0 to 5, see `bodies_from_anny.PHENOTYPES`.
        height_m: stature without shoes [m].
        clothes_seed: colours and stripes.
    """
    if not 0 <= phenotype < PHENOTYPE_COUNT:
        raise VmError(f"no phenotype {phenotype}; there are 0 to {PHENOTYPE_COUNT - 1}")
    arrays = _arrays()
    one = {name: value[phenotype] if name in ("vertices", "joint_pos") else value for name, value in arrays.items()}
    return PosedBody.from_arrays(one, height_m, random_clothes(clothes_seed))


def random_clothes(seed: int) -> Clothes:
    """Colours that differ between people, so that they can be told apart in a picture."""
    rng = np.random.default_rng(seed)

    def color(low: float, high: float) -> Color:
        red, green, blue = rng.uniform(low, high, 3)
        return float(red), float(green), float(blue)

    skin = _SKINS[int(rng.integers(len(_SKINS)))]
    stripe = color(0.1, 0.95) if rng.random() < 0.6 else None
    return Clothes(
        skin, color(0.05, 0.35), color(0.1, 0.9), color(0.08, 0.5), color(0.2, 0.95), stripe,
        float(rng.uniform(0.015, 0.045)),
    )  # fmt: skip
