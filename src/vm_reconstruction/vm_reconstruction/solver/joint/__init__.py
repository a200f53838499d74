"""People, cameras and the scene's scale as one least-squares problem over all frames."""
