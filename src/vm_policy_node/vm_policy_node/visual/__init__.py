"""Policies that see: depth pictures, generator and tracker, and when to stand still. Pure: no ROS, no clock."""
