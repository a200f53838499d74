"""What every test needs before the first import."""

import os

# MuJoCo reads this once, when it is first imported: without a screen its own choice, GLFW, ends the whole process.
os.environ.setdefault("MUJOCO_GL", "egl")

from hypothesis import settings

# A time limit for each example would fail where others share the machine. Everybody gets the same examples;
# `pytest --hypothesis-profile explore` draws new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
