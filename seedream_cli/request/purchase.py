"""From a checked request to the jobs that buy it: what is sent, and what it may cost."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from seedream_cli.core.addresses import origin
from seedream_cli.core.model import Charge, Job, State
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import json_text
from seedream_cli.request.demand import most_images
from seedream_cli.request.price import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.model import Call, Profile, Request
    from seedream_cli.providers.spec import Capabilities, Provider

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32, lower case: no i, l, o, u."""
ID_LENGTH = 8

BYSTANDERS = frozenset({"callBackUrl", "webhook", "webhook_events_filter"})
"""Body fields that say nothing about the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One job and the call that buys it."""

    request: Request
    job: Job
    call: Call


def new_id(choose: Callable[[str], str]) -> str:
    """Draw a job's or run's id."""
    return "".join(choose(ALPHABET) for _ in range(ID_LENGTH))


def purchases(
    requests: Sequence[Request],
    *,
    profile: Profile,
    provider: Provider,
    capabilities: Capabilities | None,
    output: Mapping[str, object],
    run: str,
    owner: str,
    now: datetime,
    job_id: Callable[[], str],
) -> list[Purchase]:
    """Make a job of each request of one command, pictures numbered through from 1."""
    bought, first_n = [], 1
    for request in requests:
        call = provider.dialect.submit(request)
        # As it is sent, but references by their digests: an upload's address is new each time.
        recipe = dict(provider.dialect.submit(_with_digests(request)).body or {})
        demand = provider.dialect.measure(capabilities, call.body or {})
        expected = most_images(demand)
        job = Job(
            id=job_id(),
            run=run,
            state=State.PLANNED,
            charge=Charge.NONE,
            provider=provider.name,
            profile=profile.name,
            origin=origin(profile.base_url),
            sandbox=profile.sandbox,
            model=request.model,
            prompt=request.prompt,
            request=show_request(request),
            recipe=recipe,
            purchase_digest=purchase_digest(profile, call, recipe),
            output=output,
            first_n=first_n,
            expected=expected,
            price=estimate(capabilities, demand),
            owner=owner,
            created_at=now,
        )
        bought.append(Purchase(request=request, job=job, call=call))
        # So many numbers are its own, though it may need fewer.
        first_n += expected
    return bought


def show_request(request: Request) -> dict[str, object]:
    """Return the part of a request that `--json` shows, and that makes it again."""
    said = {
        # A provider may have another field for it than for the pixels that it comes to.
        "keyword": request.keyword if request.size else None,
        "count": request.count if request.count > 1 else None,
        "series": request.series,
        "guidance": request.guidance,
        "steps": request.steps,
        "quality": request.quality,
        "watermark": request.watermark or None,
        "set": dict(request.extra) or None,
    }
    return {
        "size": str(request.size) if request.size else request.keyword,
        "aspect": request.aspect,
        "seed": request.seed,
        "format": request.format,
        "references": [reference.source for reference in request.references],
    } | {key: value for key, value in said.items() if value is not None}


def purchase_digest(profile: Profile, call: Call, recipe: Mapping[str, object]) -> str:
    """Name a purchase by what it would buy: two equal ones are the same purchase.

    the same, with another callback URL             the same purchase
    the same, by another profile of that address    the same purchase
    a reference of other bytes                      another one
    """
    what = {key: value for key, value in recipe.items() if key not in BYSTANDERS}
    parts = [profile.provider, origin(profile.base_url), profile.sandbox, call.path, what]
    return hashlib.sha256(json_text(parts).encode()).hexdigest()


def is_same_but_for_count(one: Job, other: Job, provider: Provider) -> bool:
    """Tell whether two purchases differ in nothing but how many pictures they bring."""
    beside = BYSTANDERS | provider.counts

    def what(job: Job) -> tuple[object, ...]:
        recipe = {key: value for key, value in job.recipe.items() if key not in beside}
        # Some APIs name the model in the path, and not in the body.
        return job.provider, job.origin, job.sandbox, job.model, json_text(recipe)

    return what(one) == what(other)


def _with_digests(request: Request) -> Request:
    """Name local references by their bytes: where they were uploaded is no part of a purchase."""
    references = tuple(
        replace(reference, url=f"sha256:{reference.digest}") if reference.digest else reference
        for reference in request.references
    )
    return replace(request, references=references)
