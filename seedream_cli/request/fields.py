"""The provider's own fields, as `--set` says them, held against those that a model documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seedream_cli.core.model import Demand, Request
    from seedream_cli.providers.spec import Capabilities, Provider
    from seedream_cli.request.findings import Findings

_COUNTS: Final = frozenset(
    {"n", "num_images", "num_outputs", "batch_size", "max_images", "maxImages"}
    | {"sequential_image_generation", "sequential_image_generation_options"}
)
"""Names that APIs of pictures have for how many to make."""


def check_fields(
    provider: Provider,
    capabilities: Capabilities,
    name: str,
    request: Request,
    findings: Findings,
) -> None:
    """Check the fields of `--set`: what the model answers with an error is a mistake.

    A count has an option of ours, which is named where the field does not work.

        --set n=4 at a model with `-n`             a mistake, with -n as the way
        --set foo=1, a field that nobody knows     sent as it is, with a note
        --set steps=900, beyond what is taken      a mistake
    """
    if not request.extra:
        return
    # What a dialect sends is asked only of a request that is whole.
    is_whole = not findings.mistakes
    known = documented_fields(provider, capabilities, request if is_whole else None)
    series = " and --series N a set" if capabilities.max_series > 1 else ""
    way = f"-n N makes N pictures{series}"
    for key, value in request.extra.items():
        # Where a provider nests a model's fields, they may be named with or without the way there.
        own = {path.removeprefix(f"{provider.inputs_in}.") for path in paths({key: value})}
        is_count = bool(own & _COUNTS)
        hint = way if is_count else ""
        wrong = list(_wrong_values(provider, capabilities, {key: value}))
        if refused := sorted(own & capabilities.rejects):
            findings.object(
                f"{name} answers {', '.join(refused)} with an error: leave it out", hint
            )
        for path, said, takes in wrong if not refused else ():
            findings.object(f"--set {path}={said}: {name} takes {takes}", hint)
        # Of a field that is known, or wrong already, there is nothing more to say.
        if refused or wrong or own & known:
            continue
        if is_count and not provider.ignores_others:
            findings.object(f"--set {key}: {name} has no such field", way)
            continue
        if not is_whole:
            continue
        sent = "it is sent, and ignored" if provider.ignores_others else "it is sent as is"
        tail = f"; {way}" if is_count else ""
        findings.note(f"--set {key} is no field that {name} documents; {sent}{tail}")


def check_demand(capabilities: Capabilities, name: str, demand: Demand, findings: Findings) -> None:
    """Check what `--set` makes of references and pictures against what a model takes."""
    together, images = capabilities.max_inputs_and_outputs, demand.images or 1
    given, (least, most) = demand.references or 0, capabilities.references
    if demand.references is not None and not least <= given <= most:
        span = str(most) if least == most else f"{least} to {most}"
        way = "it takes edit, and -i IMAGE" if given < least else ""
        findings.object(f"{given} reference images; {name} takes {span} for this", way)
    if together is not None and images > 1 and images + given > together:
        findings.object(
            f"{images} pictures with {given} references are {images + given} images; "
            f"{name} takes {together} together"
        )


def strange_fields(provider: Provider, capabilities: Capabilities, request: Request) -> list[str]:
    """Return the fields of `--set` that the model's table does not know, by dotted name."""
    known = documented_fields(provider, capabilities, request)
    # Of a table the fields are known one by one; of another field all that is in it.
    tables = {name.partition(".")[0] for name in known if "." in name}

    def is_known(path: str) -> bool:
        name = path.removeprefix(f"{provider.inputs_in}.") if provider.inputs_in else path
        top = name.partition(".")[0]
        return name in known or (top in known and top not in tables)

    return [path for path in paths(request.extra, is_leaves=True) if not is_known(path)]


def documented_fields(
    provider: Provider, capabilities: Capabilities, request: Request | None
) -> frozenset[str]:
    """Return the request fields that a model has, by dotted name; also those that are sent."""
    plain = provider.dialect.submit(replace(request, extra={})).body if request is not None else {}
    plain = plain or {}
    inner = plain.get(provider.inputs_in)
    sent = {*plain, *(inner if isinstance(inner, dict) else ())}
    every = sent | capabilities.fields | capabilities.values.keys() | capabilities.modes.keys()
    return frozenset(every | {name.partition(".")[0] for name in every} | provider.fields)


def paths(
    fields: Mapping[str, object], above: str = "", *, is_leaves: bool = False
) -> Iterator[str]:
    """Yield the dotted name of every field, of branches too unless only `is_leaves` are wanted."""
    for key, value in fields.items():
        is_branch = isinstance(value, dict) and bool(value)
        if not (is_leaves and is_branch):
            yield f"{above}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{above}{key}.", is_leaves=is_leaves)


def _wrong_values(
    provider: Provider, capabilities: Capabilities, fields: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield each field whose value the model answers with an error: name, value, what it takes."""
    for key, value in fields.items():
        path = f"{above}{key}"
        if isinstance(value, dict) and path not in capabilities.values:
            inner = "" if path == provider.inputs_in else f"{path}."
            yield from _wrong_values(provider, capabilities, value, inner)
        elif not capabilities.takes(path, value):
            allowed = capabilities.values[path]
            words = sorted(str(each).lower() for each in allowed)
            takes = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ""
            yield path, str(value), takes or ", ".join(words)
