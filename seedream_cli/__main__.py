"""`python -m seedream_cli` and the console script; answers --version and TABs without Typer."""

import _signal  # type: ignore[import-not-found] # typeshed has `signal` only

# Until work begins an interruption ends us as the shell expects, without a traceback. `signal`
# itself would take `enum` with it, and with it some milliseconds.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import gc
import os
import sys


def run() -> None:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    if sys.argv[1:] in (["--version"], ["-V"]) and _is_version_printed():
        return
    if sys.argv[1:2] == ["__complete"]:
        from seedream_cli.cli.completion import answer

        answer(sys.argv[2:], os.environ)
        return
    from seedream_cli.cli.app import main

    main(sys.argv[1:])


def start() -> None:
    """Run the command line as all that this process does, and end it."""
    # A start makes some 50,000 objects, and they stay: nothing of them is garbage to look for. What
    # runs longer is still rid of its own, some 10 MB at a time.
    gc.set_threshold(100_000)
    try:
        run()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        _end(end.code)
    _end(0)


def _is_version_printed() -> bool:
    """Print the version the quick way; whatever keeps it from that is met on the usual one."""
    from seedream_cli import __version__

    line = f"seedream {__version__}\n".encode()
    try:
        return os.write(sys.stdout.fileno(), line) == len(line)
    except OSError:
        return False


def _end(code: int) -> None:
    """End at once: what was to be written and closed is, streams have been flushed.

    Python would take itself down object by object, in as long as `python -c pass` takes, and crash
    where threads are still at work. Daemon threads are stopped abruptly either way:
    https://docs.python.org/3/library/threading.html#thread-objects (2026-11-30).
    """
    import atexit

    atexit._run_exitfuncs()  # noqa: SLF001 - `os._exit` would leave them out
    os._exit(code)


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
    start()
