#!/usr/bin/env bash
# Makes an SROS 2 keystore with the enclaves of policies.xml; needs a full ROS 2 (ros2 security) and openssl.
#   launch/security/make_keystore.sh ~/videomimic_keys
# The robot's own computers speak plain DDS: without exceptions, enforced security would cut us off from the motors. So the
# governance lets unauthenticated participants join, and leaves the robot's own topics, and them alone, unprotected.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 KEYSTORE   a folder that does not exist yet" >&2
    exit 2
fi
store=$1
here=$(cd "$(dirname "$0")" && pwd)
hardware_topics=(rt/lowstate rt/lowcmd rt/lf/bmsstate rt/api/motion_switcher/request rt/api/motion_switcher/response
    rt/livox/lidar rt/livox/imu rt/camera/depth/image_rect_raw rt/camera/depth/camera_info)
enclaves=(/videomimic/robot /videomimic/operator /videomimic/viewer)

for tool in ros2 openssl; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed or not sourced" >&2; exit 2; }
done
if [ -e "$store" ]; then
    echo "error: $store exists; keys are never overwritten, give another folder" >&2
    exit 2
fi

umask 077 # keys are for their owner alone
ros2 security create_keystore "$store"
for enclave in "${enclaves[@]}"; do
    ros2 security create_enclave "$store" "$enclave"
    ros2 security create_permission "$store" "$enclave" "$here/policies.xml"
done

governance=$store/enclaves/governance.xml
rules=$(for topic in "${hardware_topics[@]}"; do
    printf '<topic_rule><topic_expression>%s</topic_expression>' "$topic"
    printf '<enable_discovery_protection>false</enable_discovery_protection>'
    printf '<enable_liveliness_protection>false</enable_liveliness_protection>'
    printf '<enable_read_access_control>false</enable_read_access_control>'
    printf '<enable_write_access_control>false</enable_write_access_control>'
    printf '<metadata_protection_kind>NONE</metadata_protection_kind>'
    printf '<data_protection_kind>NONE</data_protection_kind></topic_rule>'
done)
python3 - "$governance" "$rules" <<'PYTHON'
import re
import sys
from pathlib import Path

path, rules = Path(sys.argv[1]), sys.argv[2]
text, count = re.subn(
    r"(<allow_unauthenticated_participants>)\s*false\s*(</)", r"\g<1>true\2", path.read_text(), flags=re.IGNORECASE
)
if count != 1 or "<topic_access_rules>" not in text:
    sys.exit(f"error: {path} is not a governance file as ros2 security writes it")
path.write_text(text.replace("<topic_access_rules>", "<topic_access_rules>" + rules, 1))
PYTHON
openssl smime -sign -text -in "$governance" -out "$store/enclaves/governance.p7s" \
    -signer "$store/public/permissions_ca.cert.pem" -inkey "$store/private/permissions_ca.key.pem"

echo "made $store; move $store/private to a safe place that is not on the robot, then on each computer:"
echo "  export ROS_SECURITY_KEYSTORE=$store ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce"
echo "  export ROS_SECURITY_ENCLAVE_OVERRIDE=${enclaves[0]}   # on the robot; ${enclaves[1]} or ${enclaves[2]} elsewhere"
