"""`seedream providers list`: who can be asked, and who has a key."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import capabilities
from seedream_cli.cli.output.paint import ERROR, painter
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout


def list_all(json: o.Json = False) -> int:
    """List the providers and profiles, and which of them have a key."""
    with ExitStack() as exits:
        context, stdout = CommandContext.of_process(exits), Stdout()
        paint = painter(sys.stdout, context.environ)
        for line in capabilities.overview(context, is_json=json):
            stdout.line(line, lambda line: line.replace("dead: ", f"{paint('dead:', ERROR)} "))
        for note in capabilities.strangers():
            Plain().say(note)
    return 0
