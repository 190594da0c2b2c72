"""`seedream providers sandbox`: serves the stand-in to other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from seedream_cli.cli import options as o
from seedream_cli.cli.output import capabilities
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.clock import moment
from seedream_cli.core.errors import UsageError


def sandbox(
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")
    ] = 8787,
    delay: Annotated[
        float,
        typer.Option(
            "--delay", metavar="SPAN", parser=o.parse_wait, help="How long a picture takes."
        ),
    ] = 2.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND[:TIMES]",
            help="429 500 drop slow expire refuse fail truncate cut partial html lost late odd.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="Models live or are retired as on that day."),
    ] = None,
    wrapped: Annotated[
        bool,
        typer.Option("--wrapped", help="KIE's older record in the envelope of its other pages."),
    ] = False,
) -> int:
    """Serve a stand-in for every provider on this machine, until Ctrl-C."""
    import signal

    from seedream_cli.sandbox.messages import Settings
    from seedream_cli.sandbox.server import Sandbox

    day = moment(at) if at is not None else None
    if at is not None and day is None:
        raise UsageError(f"--at {at} is no date", hint="--at 2026-11-01")
    try:
        serving = Sandbox(
            port=port,
            settings=Settings(delay=delay, at=day, is_wrapped=wrapped),
            faults=fault or (),
            has_ipv6=True,
        )
    except OSError as error:
        raise UsageError(f"port {port} is taken: {error.strerror}", hint="--port 0") from error
    with serving:
        Stdout().line(serving.origin)
        for line in capabilities.served(serving.origin):
            Plain().say(line)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: serving.closing.set())
        serving.closing.wait()
    return 0
