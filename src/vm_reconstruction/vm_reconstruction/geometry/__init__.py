"""The static scene as points and planes, from depth pictures and cameras."""
