"""What every test needs before the first import."""

import os

# MuJoCo reads this once, when it is first imported: without a screen its own choice, GLFW, ends the whole process.
os.environ.setdefault("MUJOCO_GL", "egl")
