"""Motions of people that come from elsewhere: motion capture, body models, other projects' results."""
