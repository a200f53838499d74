"""Controllers with the whole state that students learn from."""
