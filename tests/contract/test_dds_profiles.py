"""The DDS profiles in launch/dds/ are what the starters set, and well-formed."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from vm_policy_node.bringup import network

FOLDER = Path(__file__).resolve().parents[2] / "launch/dds"


def test_the_shipped_profile_is_the_starters(tmp_path, monkeypatch):
    for name in network.FAST_DDS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    network.dds_environment("", tmp_path)
    assert (FOLDER / "fastdds.xml").read_text() == (tmp_path / "fastdds.xml").read_text()


def test_profiles_are_well_formed():
    for path in FOLDER.glob("*.xml"):
        ElementTree.parse(path)
