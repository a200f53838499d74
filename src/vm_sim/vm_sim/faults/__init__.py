"""Faults that the simulated robot can play, and how a controller must end up in each."""

from vm_sim.faults.catalogue import FAULTS, WALKER_FAULTS, Fault, find_fault, table
from vm_sim.faults.player import FaultPlayer, GridSample, OdometrySample

__all__ = ["FAULTS", "WALKER_FAULTS", "Fault", "FaultPlayer", "GridSample", "OdometrySample", "find_fault", "table"]
