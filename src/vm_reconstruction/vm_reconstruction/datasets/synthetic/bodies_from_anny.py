"""Makes `bodies.npz`, the set's people, from the body model Anny (Apache-2.0; mesh and shapes CC0).

Run: `python -m vm_reconstruction.datasets.synthetic.bodies_from_anny` (needs `pip install anny==0.6.2`).
"""

from __future__ import annotations

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_reconstruction.datasets.synthetic.bodies import BODIES_FILE
from vm_reconstruction.demo.body_from_anny import rest_body, skin_of

# Anny's phenotype axes run from 0 to 1; age 2/3 is an adult, 1 is old.
PHENOTYPES = (
    {"gender": 0.9, "age": 0.667, "muscle": 0.75, "weight": 0.45, "height": 0.65, "proportions": 0.6},
    {"gender": 0.1, "age": 0.667, "muscle": 0.45, "weight": 0.40, "height": 0.40, "proportions": 0.5},
    {"gender": 0.8, "age": 0.700, "muscle": 0.40, "weight": 0.80, "height": 0.50, "proportions": 0.4},
    {"gender": 0.2, "age": 0.700, "muscle": 0.40, "weight": 0.70, "height": 0.30, "proportions": 0.4},
    {"gender": 0.7, "age": 0.850, "muscle": 0.35, "weight": 0.40, "height": 0.45, "proportions": 0.5},
    {"gender": 0.3, "age": 0.600, "muscle": 0.60, "weight": 0.30, "height": 0.70, "proportions": 0.8},
)


def main() -> None:
    """Builds all phenotypes, each 1 m tall."""
    import anny  # heavy and optional: only this command needs it

    model = anny.Anny()
    regressor = anny.KeypointsRegressor.coco(model)
    bodies = [rest_body(model, regressor, phenotype) for phenotype in PHENOTYPES]
    with atomic_path(BODIES_FILE) as path:
        np.savez_compressed(
            path,
            vertices=np.stack([body["vertices"] for body in bodies]).astype(np.float16),
            joint_names=bodies[0]["joint_names"],
            joint_pos=np.stack([body["joint_pos"] for body in bodies]),
            **skin_of(model),
        )
    print(f"{BODIES_FILE}: {len(bodies)} bodies, {BODIES_FILE.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
