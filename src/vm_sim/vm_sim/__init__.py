"""The Unitree G1 in MuJoCo: model, terrain, sensors, and the node that speaks the real robot's topics."""
