"""What a request brings and costs at most, read from the body as it will be sent, `--set` included.

The one place that expected pictures, prices, names, limits and bounds are computed from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.request.fields import paths, strange_fields

if TYPE_CHECKING:
    from seedream_cli.core.model import Demand, Request
    from seedream_cli.providers.spec import Capabilities, Provider

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

        --max-cost 1, --set foo=1 at a model whose fields are known    refused: foo is none of them
        --max-images 4, any --set at a model that is not known         refused
    """
    name = request.model or provider.title
    way = "leave it out, or buy without a bound"
    if capabilities is None and request.extra:
        words = ", ".join(f"--set {path}" for path in paths(request.extra, is_leaves=True))
        raise UsageError(
            f"{words}: what {name} makes of it is not known, nor what that costs", hint=way
        )
    if capabilities is not None and (strange := strange_fields(provider, capabilities, request)):
        words = ", ".join(f"--set {path}" for path in strange)
        raise UsageError(
            f"{words} is no field that {name} documents: what it brings, nobody can say", hint=way
        )
    # The body as it is sent, since `--set` may overrule what `-n` says.
    if measure(provider, capabilities, request).images is None:
        raise UsageError(
            f"how many pictures {name} makes of this, nobody can say",
            hint="say it with --series N or -n N in place of --set",
        )
