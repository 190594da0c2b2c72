"""What a request brings and costs at most, read from the body as it will be sent, `--set` included.

The one place that expected pictures, prices, names, limits and bounds are computed from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seedream_cli.core.model import Demand, Request
    from seedream_cli.providers.spec import Capabilities, Provider

COUNTS: Final = frozenset(
    {"n", "num_images", "num_outputs", "batch_size", "max_images", "maxImages"}
    | {"sequential_image_generation", "sequential_image_generation_options"}
)
"""Names that APIs of pictures have for how many to make."""
_MANY: Final = 15
"""So many pictures are reckoned with where the words do not tell and no bound asks."""


def measure(provider: Provider, capabilities: Capabilities | None, request: Request) -> Demand:
    """Return what one request asks for at most."""
    body = provider.dialect.submit(request).body or {}
    return provider.dialect.measure(capabilities, body)


def most_images(demand: Demand) -> int:
    """Return how many pictures to reckon with."""
    return _MANY if demand.images is None else demand.images


def check_bounded(provider: Provider, capabilities: Capabilities | None, request: Request) -> None:
    """Raise `UsageError` where nobody can say what a request brings: no bound bears that.

    For whatever is bought under `--max-images`, `--max-cost` or a budget.
    """
    name = request.model or provider.title
    way = "leave it out, or buy without a bound"
    if capabilities is None and request.extra:
        words = ", ".join(f"--set {path}" for path in paths(request.extra, is_leaves=True))
        raise UsageError(
            f"{words}: what {name} makes of it is not known, so no bound holds it", hint=way
        )
    if capabilities is not None and (strange := strange_fields(provider, capabilities, request)):
        words = ", ".join(f"--set {path}" for path in strange)
        raise UsageError(f"{words} is no field that {name} documents; no bound holds it", hint=way)
    if measure(provider, capabilities, request).images is None:
        raise UsageError(
            f"how many pictures {name} makes of this cannot be told, so no bound holds it",
            hint="say it with --series N or -n N in place of --set",
        )


def strange_fields(provider: Provider, capabilities: Capabilities, request: Request) -> list[str]:
    """Return the fields of `--set` that the model's table does not know, by dotted name."""
    known = documented_fields(provider, capabilities, request)
    tables = {name.partition(".")[0] for name in known if "." in name}

    def is_known(path: str) -> bool:
        name = path.removeprefix(f"{provider.inputs_in}.") if provider.inputs_in else path
        top = name.partition(".")[0]
        return name in known or (top in known and top not in tables)

    return [path for path in paths(request.extra, is_leaves=True) if not is_known(path)]


def documented_fields(
    provider: Provider, capabilities: Capabilities, request: Request
) -> frozenset[str]:
    """Return the request fields that a model has, by dotted name."""
    plain = provider.dialect.submit(replace(request, extra={})).body or {}
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
