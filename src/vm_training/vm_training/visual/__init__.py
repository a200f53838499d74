"""Seeing and moving things: keypoint tracker, generators of its commands, and the tasks that they are trained on."""
