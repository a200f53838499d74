"""What every part of the project agrees on: the robot, frames, files and wire layouts."""
