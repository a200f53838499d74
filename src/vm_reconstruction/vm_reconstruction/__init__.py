"""From a video of a person to a robot clip and the scene that the person's contacts prove."""
