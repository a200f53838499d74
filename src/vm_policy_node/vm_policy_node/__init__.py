"""From robot state, height grid and root command to joint commands, behind a safety state machine."""
