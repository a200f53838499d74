"""The report of a run: one HTML page that needs nothing beside it."""

from vm_reconstruction.report.page import run_stage, write_page

__all__ = ["run_stage", "write_page"]
