#!/usr/bin/env bash
# Runs a command in the ROS environment of the image: a full ROS 2, or the one from wheels.
set -eo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -n ${ROS_DISTRO:-} && -f /opt/ros/$ROS_DISTRO/setup.bash ]]; then
  # shellcheck disable=SC1090
  source "/opt/ros/$ROS_DISTRO/setup.bash"
  # shellcheck disable=SC1091
  source "$root/install/setup.bash"
  PATH=$root/install/lib/vm_policy_node:$PATH exec "$@"
fi
exec "$root/.venv/bin/vm-ros-env" "$@"
