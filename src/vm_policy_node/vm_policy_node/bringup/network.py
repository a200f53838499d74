"""How DDS is set up for the robot: its network interface, and no types in discovery, so that Unitree's SDK hears us."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from xml.sax.saxutils import quoteattr

from vm_core.errors import VmError

FAST_DDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""The second is for the Fast DDS 2 of these distributions; newer ones warn of it."""
_FAST_DDS_2 = ("humble", "iron", "jazzy")
CYCLONE_VARIABLE = "CYCLONEDDS_URI"
_SIOCGIFADDR = 0x8915
_TRANSPORTS = """  <transport_descriptors>
    <transport_descriptor><transport_id>vm_memory</transport_id><type>SHM</type></transport_descriptor>
    <transport_descriptor>
      <transport_id>vm_network</transport_id><type>UDPv4</type>
      <!-- without the loopback, Fast DDS 3.2 delivers nothing between processes of one machine beside shared memory -->
      <interfaceWhiteList><address>{address}</address><address>127.0.0.1</address></interfaceWhiteList>
    </transport_descriptor>
  </transport_descriptors>
"""
_USE = """      <useBuiltinTransports>false</useBuiltinTransports>
      <userTransports>
        <transport_id>vm_memory</transport_id>
        <transport_id>vm_network</transport_id>
      </userTransports>
"""


def dds_environment(interface: str, folder: Path, launch_folder: Path) -> dict[str, str]:
    """Variables under which the nodes reach the robot; what the user has set himself stays.

    Args:
        interface: network interface such as eth0; empty: all.
        folder: for the interface's profile.
        launch_folder: where dds/fastdds.xml lies.

    Raises:
        VmError: no such interface, or it has no IPv4 address.
    """
    values, profile = {}, launch_folder / "dds/fastdds.xml"
    if interface:
        text = profile.read_text().replace("  <participant", f"{_transports(interface)}  <participant", 1)
        profile = folder / "fastdds.xml"
        profile.write_text(text.replace("    </rtps>", f"{_USE}    </rtps>", 1))
        interfaces = f"<Interfaces><NetworkInterface name={quoteattr(interface)}/></Interfaces>"
        values[CYCLONE_VARIABLE] = f"<CycloneDDS><Domain><General>{interfaces}</General></Domain></CycloneDDS>"
    if not any(name in os.environ for name in FAST_DDS_VARIABLES):
        values[FAST_DDS_VARIABLES[os.environ.get("ROS_DISTRO") in _FAST_DDS_2]] = str(profile)
    return {name: value for name, value in values.items() if name not in os.environ}


def _transports(interface: str) -> str:
    return _TRANSPORTS.format(address=interface_address(interface))


def interface_address(interface: str) -> str:
    """The IPv4 address of a network interface.

    Raises:
        VmError: there is none of this name, or it has no address.
    """
    there = [name for _, name in socket.if_nameindex()]
    if interface not in there:
        raise VmError(f"network interface {interface!r}; there are {', '.join(there)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", interface.encode()))
        except OSError:
            raise VmError(f"network interface {interface} has no IPv4 address; the robot's is 192.168.123.x") from None
    return socket.inet_ntoa(answer[20:24])
