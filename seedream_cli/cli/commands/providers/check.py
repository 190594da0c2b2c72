"""`seedream providers check`: proves a key with one free call."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import AccountError, SeedreamError

if TYPE_CHECKING:
    from seedream_cli.core.model import Outcome, Profile, Reply
    from seedream_cli.providers.spec import Provider


def check(
    name: o.AccountName = None,
    sandbox: o.Sandbox = False,
    json: o.Json = False,
    verbose: o.Verbose = 0,
) -> int:
    """Prove a key with one free call, where the provider has one."""
    with ExitStack() as exits:
        context, stdout = CommandContext.of_process(exits), Stdout()
        profile = context.keyed(context.profile(name, sandbox=sandbox))
        words = prove_key(context, profile, Plain(verbose=verbose), with_bodies=verbose > 1)
        if json:
            stdout.json(
                {
                    "schema": 1,
                    "profile": profile.name,
                    "provider": profile.provider,
                    "sandbox": profile.sandbox,
                    "says": words,
                }
            )
        else:
            stdout.line(f"{profile.name}: {words}")
    return 0


def prove_key(
    context: CommandContext, profile: Profile, say: Plain, *, with_bodies: bool = False
) -> str:
    """Return what the free call says of a key; raise `SeedreamError` where it is not taken."""
    from seedream_cli.core.model import Done, Refused
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.transport.exchange import Limits

    provider = PROVIDERS[profile.provider].at(profile.base_url)
    dialect = provider.dialect
    if dialect.check is None or dialect.checked is None:
        return f"a key is set ({profile.key_source}); {provider.name} has no free call to prove it"
    reply = context.transport(say, with_bodies=with_bodies).send(profile, dialect.check(), Limits())
    match _heard(provider, reply):
        case Done():
            proof = "the stand-in answers" if profile.sandbox else "the key works"
            return f"{proof} ({dialect.checked(reply)})"
        case Refused(problem=problem):
            is_spent = problem.code == "credit"
            verdict = (
                "takes the key, and has no credit left" if is_spent else "does not take the key"
            )
            source = "" if is_spent else f"the key came from {profile.key_source}"
            page = provider.page(problem.code, profile.base_url)
            raise AccountError(
                f"{profile.name}: {provider.name} {verdict}: {problem.message}",
                hint="\n".join(filter(None, [source, page or provider.docs])),
                code="credit" if is_spent else "auth",
            )
        case _:
            raise SeedreamError(
                f"{profile.name}: {provider.name} gave no answer that says anything of the key"
                f" (HTTP {reply.status})",
                hint=provider.doubt(profile.base_url, reply) or "try again later",
                code="busy",
            )


def _heard(provider: Provider, reply: Reply) -> Outcome | None:
    from seedream_cli.core.errors import UnreadableReply

    try:
        return provider.dialect.decode(reply)
    except UnreadableReply:
        return None
