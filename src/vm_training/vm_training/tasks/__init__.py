"""What can be trained, each from its inputs to a policy file."""
