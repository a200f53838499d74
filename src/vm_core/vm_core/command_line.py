"""How every command ends: users see one line, never a traceback of their own mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from vm_core.errors import VmError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run(main: Callable[[], int | None]) -> None:
    """Runs a command's main function and leaves the process with its exit code.

    Args:
        main: does the work; returns an exit code or None for success.

    Raises:
        SystemExit: always; 0 on success, 2 on a VmError, 130 on Ctrl-C.
    """
    try:
        sys.exit(main() or 0)
    except VmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`command | head`): keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_USER_ERROR)
