"""Environments: what is simulated, observed, varied and when it ends."""
