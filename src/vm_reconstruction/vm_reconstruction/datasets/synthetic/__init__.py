"""Synthetic videos with exact truth: bodies, routes over stairs, kerbs, slopes and benches, moving cameras."""
