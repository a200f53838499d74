"""Starts the system: the one list of nodes, its starter without a full ROS 2, and the demonstration."""
