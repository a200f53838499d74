"""The stages of the reconstruction, one module each; `pipeline.py` has their order."""
