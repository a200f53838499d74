"""Least squares over all frames of a clip at a cost that grows linearly with its length."""
