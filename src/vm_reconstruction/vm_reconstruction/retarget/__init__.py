"""From a person's joints to the G1's: `run_stage` for the pipeline, `retarget` for a motion and its scene."""

from vm_reconstruction.retarget.stage import RetargetResult, retarget, run_stage

__all__ = ["RetargetResult", "retarget", "run_stage"]
