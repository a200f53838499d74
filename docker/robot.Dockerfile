# The nodes on the robot's computer or beside it: a full ROS 2, amd64 and arm64.
#   docker build -f docker/robot.Dockerfile -t videomimic-g1-robot .
#   docker build -f docker/robot.Dockerfile --build-arg BASE=ros:humble-ros-base-jammy -t videomimic-g1-robot:humble .
#   docker buildx build --platform linux/amd64,linux/arm64 -f docker/robot.Dockerfile -t NAME --push .
# BASE takes a digest, too: --build-arg BASE=ros@sha256:…
ARG BASE=ros:jazzy-ros-base-noble
FROM ${BASE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      python3-pip "ros-${ROS_DISTRO}-rmw-cyclonedds-cpp" "ros-${ROS_DISTRO}-joy" "ros-${ROS_DISTRO}-teleop-twist-joy" \
      "ros-${ROS_DISTRO}-rosbag2-storage-mcap" \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/vm
COPY requirements/base.txt requirements/ros.txt requirements/
COPY docker/install_robot_python.sh docker/robot_packages.txt docker/
RUN docker/install_robot_python.sh requirements

COPY src/interfaces src/interfaces
COPY src/vm_msgs src/vm_msgs
COPY src/vm_core src/vm_core
COPY src/vm_heightmap src/vm_heightmap
COPY src/vm_sim src/vm_sim
COPY src/vm_policy_node src/vm_policy_node
COPY launch launch
# the robot's own message packages, mounted or added in an image above, take precedence over src/interfaces
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
 && colcon build --merge-install --cmake-args -DBUILD_TESTING=OFF \
 && rm -rf build log
COPY docker/check_robot_python.py docker/entrypoint.sh docker/health.sh docker/
RUN docker/entrypoint.sh python3 docker/check_robot_python.py \
 && useradd --create-home --uid 10001 robot \
 && mkdir /recordings && chown robot /recordings
USER 10001
# recordings and flight records go where the container starts
WORKDIR /recordings
ENV RMW_IMPLEMENTATION=rmw_cyclonedds_cpp OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/home/robot/.cache/numba
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["/opt/vm/docker/health.sh"]
ENTRYPOINT ["/opt/vm/docker/entrypoint.sh"]
CMD ["ros2", "launch", "vm_policy_node", "g1.launch.py", "sim:=false", "policy:=/policies/policy.onnx"]
