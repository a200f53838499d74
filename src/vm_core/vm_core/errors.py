"""Errors that a user can act on; commands print them as one line."""


class VmError(Exception):
    """One line: what came, what was expected, what exists.

    Texts from foreign files may be part of it: line breaks and control characters in them become spaces, so that they
    neither break a log's line nor steer a terminal.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__("".join(c if c.isprintable() else " " for c in str(message)))
