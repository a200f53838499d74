#!/usr/bin/env bash
# Healthy: the policy node says what it does. Where no nodes were started, the environment is whole.
#   VM_NAMESPACE: of the robot, as given to the start
set -eo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
started=$(tr '\0' ' ' </proc/1/cmdline)
if [[ $started != *"launch"* && $started != *"vm-bringup"* ]]; then
  exec "$here/entrypoint.sh" vm-doctor
fi
topic=${VM_NAMESPACE:+/$VM_NAMESPACE}/policy_status
exec "$here/entrypoint.sh" vm-supervisor --ros-args -r __node:=vm_health \
  -p expect:="\"the policy node=$topic\"" -p timeout_s:=8.0
