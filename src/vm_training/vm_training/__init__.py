"""From a clip and its scene to a policy."""
