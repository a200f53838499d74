"""LiDAR points and odometry in, the height grid under the robot out."""
