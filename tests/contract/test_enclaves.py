"""SROS 2: the shipped policies know every topic, and the keystore script signs what it changed."""

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from shutil import which

import pytest

from vm_policy_node.bringup.enclaves import PROFILES, policies_xml
from vm_policy_node.bringup.topics import SERVICES, TOPICS

SECURITY = Path(__file__).resolve().parents[2] / "launch/security"
SIMULATED_ONLY = {"/gantry/release"} | {name for name in SERVICES if name.startswith("/fault")}
FAKE_ROS2 = """#!/bin/sh
set -e
store=$3
case $2 in
create_keystore)
  mkdir -p "$store/enclaves" "$store/public" "$store/private"
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 \\
    -keyout "$store/private/permissions_ca.key.pem" -out "$store/public/permissions_ca.cert.pem" 2>/dev/null
  cat > "$store/enclaves/governance.xml" <<EOF
<dds><domain_access_rules><domain_rule>
<allow_unauthenticated_participants>false</allow_unauthenticated_participants>
<topic_access_rules><topic_rule><topic_expression>*</topic_expression></topic_rule></topic_access_rules>
</domain_rule></domain_access_rules></dds>
EOF
  ;;
create_enclave) mkdir -p "$store/enclaves$4" ;;
create_permission) cp "$5" "$store/enclaves$4/used_policies.xml" ;;
*) exit 9 ;;
esac
"""


def test_the_shipped_policies_are_made_from_the_list_of_topics():
    shipped = (SECURITY / "policies.xml").read_text()
    assert shipped == policies_xml(), "run: python -m vm_policy_node.bringup.enclaves > launch/security/policies.xml"


def test_every_topic_is_published_and_heard_by_somebody():
    root = ElementTree.parse(SECURITY / "policies.xml").getroot()
    said = {t.text for group in root.iter("topics") if "publish" in group.attrib for t in group}
    heard = {t.text for group in root.iter("topics") if "subscribe" in group.attrib for t in group}
    served = {s.text for group in root.iter("services") if "reply" in group.attrib for s in group}
    called = {s.text for group in root.iter("services") if "request" in group.attrib for s in group}
    for topic in TOPICS:
        outside = not topic.publisher.replace("vm_sim", "").strip(", ")
        assert topic.name in heard, topic
        assert topic.name in said or outside, topic
    assert set(SERVICES) - SIMULATED_ONLY <= served & called


def test_only_the_command_stream_may_move_the_motors():
    root = ElementTree.fromstring(policies_xml())
    movers = [
        profile.attrib["node"]
        for profile in root.iter("profile")
        for group in profile.iter("topics")
        if "publish" in group.attrib and "/lowcmd" in [topic.text for topic in group]
    ]
    assert movers == ["vm_command_stream"]
    assert {profile.enclave for profile in PROFILES if profile.node == movers[0]} == {"/videomimic/robot"}


@pytest.mark.skipif(which("openssl") is None, reason="no openssl")
def test_the_script_excepts_the_robots_topics_signs_and_never_overwrites(tmp_path):
    (tmp_path / "ros2").write_text(FAKE_ROS2)
    (tmp_path / "ros2").chmod(0o755)
    store, env = tmp_path / "keys", {"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"}
    command = [str(SECURITY / "make_keystore.sh"), str(store)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    certificate = str(store / "public/permissions_ca.cert.pem")
    verify = [
        "openssl",
        "smime",
        "-verify",
        "-text",
        "-in",
        str(store / "enclaves/governance.p7s"),
        "-CAfile",
        certificate,
    ]
    signed = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert signed.returncode == 0, signed.stderr
    text = signed.stdout.replace("\r", "")
    assert "<allow_unauthenticated_participants>true<" in text
    names = [node.text for node in ElementTree.fromstring(text).iter("topic_expression")]
    hardware = {f"rt{topic.name}" for topic in TOPICS if topic.hardware}
    assert set(names[:-1]) == hardware and names[-1] == "*"  # the first rule that fits counts
    assert (store / "enclaves/videomimic/robot/used_policies.xml").is_file()
    assert (store / "private").stat().st_mode & 0o077 == 0
    again = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "keys are never overwritten" in again.stderr
