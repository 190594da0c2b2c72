"""`python -m seedream_cli` and the console script; answers --version and TABs without Typer."""

from __future__ import annotations

import os
import signal
import sys


def run() -> None:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    # Until work begins an interruption ends us as the shell expects, without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:] in (["--version"], ["-V"]):
        from seedream_cli import __version__

        sys.stdout.write(f"seedream {__version__}\n")
        return
    if sys.argv[1:2] == ["__complete"]:
        from seedream_cli.cli.completion import answer

        answer(sys.argv[2:], os.environ)
        return
    from seedream_cli.cli.app import main

    main(sys.argv[1:])


def _open_standard_streams() -> None:
    """Open what the caller closed: a ledger must never come to lie on descriptor 1 or 2."""
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:  # noqa: PLR2004 - stderr
        null = os.dup(null)
    os.close(null)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115 - for as long as we live
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115 - likewise
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115 - likewise


if __name__ == "__main__":
    run()
