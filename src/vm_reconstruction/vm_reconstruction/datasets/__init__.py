"""Readers of other people's recordings: each gives a `HumanMotion` and the `SceneAsset` that belongs to it."""
