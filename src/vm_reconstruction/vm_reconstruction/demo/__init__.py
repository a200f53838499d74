"""The demo video: a rendered person climbs three steps, with the truth beside the pictures."""
