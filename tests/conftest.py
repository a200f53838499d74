"""What every test needs before the first import."""

import os

# MuJoCo reads this once, when it is first imported: without a screen its own choice, GLFW, ends the whole process.
os.environ.setdefault("MUJOCO_GL", "egl")

from hypothesis import settings

# A time limit for each example would fail where others share the machine.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
