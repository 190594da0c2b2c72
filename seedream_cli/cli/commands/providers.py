"""`seedream providers`: who can be asked, what models take, whether a key works; the sandbox."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from seedream_cli.cli import help as helping
from seedream_cli.cli import options as o
from seedream_cli.cli.commands import profiles as accounts
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import capabilities as showing
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.clock import moment
from seedream_cli.core.errors import AccountError, SeedreamError, UsageError

if TYPE_CHECKING:
    from seedream_cli.core.model import Outcome, Profile, Reply
    from seedream_cli.providers.spec import Provider

providers = typer.Typer(
    name="providers",
    cls=helping.Group,
    help="List providers and models, keep accounts, check keys, serve the sandbox.",
    rich_markup_mode=None,
    add_completion=False,
)

Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="A profile or a provider; default: the chosen one."),
]


@providers.callback(invoke_without_command=True)
def root(context: typer.Context, json: o.Json = False) -> int:
    """List providers and models, keep accounts, check keys, serve the sandbox."""
    if context.invoked_subcommand is None:
        return list_all(json=json)
    return 0


@providers.command("list", cls=helping.Command)
def list_all(json: o.Json = False) -> int:
    """List the providers and profiles, and which of them have a key."""
    with ExitStack() as exits:
        world, stdout = CommandContext.of_process(exits), Stdout()
        for line in showing.overview(world, is_json=json):
            stdout.line(line)
        for note in showing.strangers():
            Plain().say(note)
    return 0


@providers.command("show", cls=helping.Command)
def show(name: Name = None, sandbox: o.Sandbox = False, json: o.Json = False) -> int:
    """Show a profile: where each value comes from, and what each model takes and makes."""
    with ExitStack() as exits:
        world, stdout = CommandContext.of_process(exits), Stdout()
        profile = world.profile(name, sandbox=sandbox)
        now = world.today(sandbox=profile.sandbox)
        for line in showing.profile(profile, is_json=json, now=now):
            stdout.line(line)
    return 0


@providers.command("check", cls=helping.Command)
def check(
    name: Name = None, sandbox: o.Sandbox = False, json: o.Json = False, verbose: o.Verbose = 0
) -> int:
    """Prove a key with one free call, where the provider has one."""
    with ExitStack() as exits:
        world, stdout = CommandContext.of_process(exits), Stdout()
        profile = world.keyed(world.profile(name, sandbox=sandbox))
        words = _checked(world, profile, Plain(verbose=verbose), with_bodies=verbose > 1)
        if json:
            stdout.json(
                {"schema": 1, "profile": profile.name, "provider": profile.provider, "says": words}
            )
        else:
            stdout.line(f"{profile.name}: {words}")
    return 0


def _checked(world: CommandContext, profile: Profile, say: Plain, *, with_bodies: bool) -> str:
    from seedream_cli.core.model import Done, Refused
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.transport.exchange import Limits

    provider = PROVIDERS[profile.provider]
    dialect = provider.dialect
    if dialect.check is None or dialect.checked is None:
        return f"a key is set ({profile.key_source}); {provider.name} has no free call to prove it"
    reply = world.transport(say, with_bodies=with_bodies).send(profile, dialect.check(), Limits())
    match _heard(provider, reply):
        case Done():
            return f"the key works ({dialect.checked(reply)})"
        case Refused(problem=problem):
            raise AccountError(
                f"{provider.name} does not take the key: {problem.message}",
                hint=f"the key came from {profile.key_source}; {provider.docs}",
                code="credit" if problem.code == "credit" else "auth",
            )
        case _:
            raise SeedreamError(
                f"{provider.name} gave no answer that says anything of the key"
                f" (HTTP {reply.status})",
                hint="is its base_url right? else try again later",
                code="busy",
            )


def _heard(provider: Provider, reply: Reply) -> Outcome | None:
    from seedream_cli.core.errors import UnreadableReply

    try:
        return provider.dialect.decode(reply)
    except UnreadableReply:
        return None


for _command in (accounts.add, accounts.use, accounts.remove):
    providers.command(cls=helping.Command)(_command)


@providers.command("sandbox", cls=helping.Command)
def sandbox(
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")
    ] = 8787,
    delay: Annotated[
        float,
        typer.Option("--delay", metavar="SECONDS", min=0.0, help="How long a picture takes."),
    ] = 2.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND[:TIMES]",
            help="429 500 drop slow expire refuse fail truncate cut partial html.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="Models live or are retired as on that day."),
    ] = None,
) -> int:
    """Serve a stand-in for every provider on this machine, until Ctrl-C."""
    import signal

    from seedream_cli.sandbox.messages import Settings
    from seedream_cli.sandbox.server import Sandbox

    day = moment(at) if at is not None else None
    if at is not None and day is None:
        raise UsageError(f"--at {at} is no date", hint="--at 2026-11-01")
    try:
        serving = Sandbox(port=port, settings=Settings(delay=delay, at=day), faults=fault or ())
    except OSError as error:
        raise UsageError(f"port {port} is taken: {error.strerror}", hint="--port 0") from error
    with serving:
        Stdout().line(serving.origin)
        for line in showing.served(serving.origin):
            Plain().say(line)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: serving.closing.set())
        serving.closing.wait()
    return 0
