"""Figures of reconstructions against exact truth, by the published protocol."""
