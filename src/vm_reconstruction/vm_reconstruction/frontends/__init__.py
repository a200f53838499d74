"""Perception models behind one Protocol; each runs where its own dependencies live."""
