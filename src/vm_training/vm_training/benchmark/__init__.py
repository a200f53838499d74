"""The fixed benchmark: courses, robots, an operator, figures and their report."""
