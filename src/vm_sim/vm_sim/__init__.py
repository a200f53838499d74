"""The Unitree G1 in MuJoCo: model, terrain, sensors, and the node that speaks the real robot's topics."""

import os

# MuJoCo chooses its OpenGL when it is first imported; without a screen only EGL (or osmesa, if the user says so) works.
os.environ.setdefault("MUJOCO_GL", "egl")
