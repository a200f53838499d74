"""The DDS profiles in launch/dds/ are well-formed and switch off what Cyclone DDS refuses."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "launch/dds"


def test_profiles_are_well_formed():
    for path in FOLDER.glob("*.xml"):
        ElementTree.parse(path)


def test_types_are_not_announced():
    assert "fastdds.type_propagation</name><value>disabled<" in (FOLDER / "fastdds.xml").read_text()
