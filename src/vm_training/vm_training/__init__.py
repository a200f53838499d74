"""From clips and scenes to a policy file."""

import vm_sim  # noqa: F401  (before mujoco: it chooses how pictures are drawn without a screen)
