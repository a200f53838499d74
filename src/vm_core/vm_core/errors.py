"""The one exception that is meant for users."""


class VmError(Exception):
    """A mistake that the user can mend: one line that says what came, what was expected and what exists."""
