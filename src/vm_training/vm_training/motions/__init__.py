"""Reference motions that are planned, not recorded."""
