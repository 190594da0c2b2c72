"""Which model a request is for: the one asked for, the provider's default, or a twin of it.

What takes over for the default, where nobody chose a model, is `check.resolve`'s to try out.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.providers.spec import SHORT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from seedream_cli.core.model import Options
    from seedream_cli.providers.spec import Capabilities, Provider
    from seedream_cli.request.findings import Findings

_MODEL_ID: Final = pattern(r"[!-~]{1,200}")
_ENDPOINT_ID: Final = pattern(r"ep-(?:m-)?[0-9]{8,}-[0-9A-Za-z]+")
"""An account's own name for a model on Ark; it does not tell which model it is."""


def choose(
    provider: Provider,
    options: Options,
    others: Iterable[Provider],
    findings: Findings,
    now: datetime,
) -> tuple[str, Capabilities | None]:
    """Return the model's id and what it can do; None where that is not known.

    An id that is not known passes with one note that says where it is, or what is near it. Raises
    `UsageError` for a short name that this provider lacks.

        -m 4.5                        what that short name means here today
        -m ID, not known here         sent as it is, unchecked, with a note
        nothing, and an -i IMAGE      the default, or the twin of it that edits
    """
    if provider.default_model is None:
        _refuse_choice(provider, options, findings)
        return "", provider.models[""]
    wanted = options.model
    model = provider.default_model if wanted is None else wanted.strip()
    if is_short := model.lower() in SHORT_NAMES:
        model = _expand_name(provider, model.lower(), others)
    capabilities = provider.models.get(model)
    if capabilities is not None:
        is_named = wanted is not None and not is_short
        return _twin(provider, model, capabilities, options, findings, is_named=is_named)
    if wanted is None:
        ways = [f"-m {name}" for name in provider.models] or ["-m ID"]
        findings.object(
            f"no model is chosen, and {provider.name} has no default",
            f'{" or ".join(ways)}, or model = "ID" in the profile',
        )
    elif _MODEL_ID.fullmatch(model):
        near = near_miss(provider, model, now, has_references=bool(options.references))
        findings.note(_stranger(provider, model, others, near))
    else:
        findings.object(f"-m {wanted!r} is no model id")
    return model, None


def _expand_name(provider: Provider, word: str, others: Iterable[Provider]) -> str:
    """Return the id that a short name means here today."""
    # The last one is what it means today; the others are what it meant before.
    if ids := provider.short_names.get(word):
        return ids[-1]
    able = ", ".join(f"-p {other.name}" for other in others if word in other.short_names)
    own = ", ".join(f"-m {name}" for name in provider.short_names)
    raise UsageError(
        f"{provider.name} has no Seedream {word}",
        hint=f"{f'providers that do: {able}; ' if able else ''}here there are {own}",
    )


def is_edit(options: Options) -> bool:
    """Return whether reference images are at work."""
    return options.edit or bool(options.references)


def _refuse_choice(provider: Provider, options: Options, findings: Findings) -> None:
    if options.model is None:
        return
    message = f"{provider.name} has no choice of model"
    if "model" in options.defaulted:
        findings.note(f"{message}: {options.whose} {options.model} is left out")
    else:
        findings.object(message, "leave -m out")


def _twin(
    provider: Provider,
    model: str,
    capabilities: Capabilities,
    options: Options,
    findings: Findings,
    *,
    is_named: bool,
) -> tuple[str, Capabilities]:
    """Return the twin that edits, or the one that works from text, where that is needed.

    `is_named` says that the model's very id was given: a short name stands for either.
    """
    wants_edit, (least, most) = is_edit(options), capabilities.references
    if (most > 0) if wants_edit else (least == 0):
        return model, capabilities
    # A very id that was typed gives way to none but its editing twin, where options are checked.
    is_typed = is_named and "model" not in options.defaulted
    twin = capabilities.edit_twin if wants_edit else capabilities.text_twin
    able = provider.models.get(twin or "")
    if twin is None or able is None or (is_typed and not (wants_edit and options.validate)):
        if not wants_edit and options.validate:
            text = f"; without one: -m {twin}" if twin else ""
            way = f"it takes edit, and -i IMAGE{text}"
            findings.object(f"{model} works from reference images", way)
        return model, capabilities
    if is_named:
        does = "edits" if wants_edit else "works from text"
        findings.note(f"{twin} {does}, so it stands in for {model}")
    return twin, able


def retirement(
    provider: Provider, model: str, now: datetime, is_able: Callable[[str], bool]
) -> str:
    """Say that a model is retired and what to name instead; empty where it lives, or is unknown.

    `is_able` tells whether another model could do the same. Of two that can, the one that the
    provider names goes first: 5.0 pro for one picture of 4.5, the living 4.0 for a set of it.
    """
    capabilities = provider.models.get(model)
    if capabilities is None or capabilities.retired_at is None or not capabilities.is_retired(now):
        return ""
    words = f"{model} was retired on {capabilities.retired_at:%Y-%m-%d}"
    ways = provider.successors(model, now)
    way = next(filter(is_able, ways), ways[0] if ways else "")
    return f"{words}; its successor is {way} (-m {way})" if way else words


def near_miss(
    provider: Provider, model: str, now: datetime, *, has_references: bool
) -> tuple[str, str]:
    """Return which model an unknown id is near to, and what to ask for instead of it; else empty.

    Nobody means a model that is gone, once they know: then its successor is that. Nor one that
    only edits where there is nothing to edit, nor one that never does where there is.
    """
    # It is near to none: an account's own name says nothing of the model behind it.
    if _ENDPOINT_ID.fullmatch(model):
        return "", ""
    able = (
        name
        for name, each in provider.models.items()
        if (each.references[1] > 0 if has_references else each.references[0] == 0)
    )
    known = [*able, *provider.short_names]
    near = next(iter(difflib.get_close_matches(model.lower(), known, n=1)), "")
    return near, next(iter(provider.successors(near, now)), near)


def _stranger(
    provider: Provider, model: str, others: Iterable[Provider], like: tuple[str, str]
) -> str:
    """Return the note on a model id that is not known here; `like`: `near_miss` of it."""
    if _ENDPOINT_ID.fullmatch(model):
        return f"{model} is an endpoint id: its model is not known here, so nothing is checked"
    owner = next((other.name for other in others if model in other.models), None)
    near, way = like
    guess = f"; did you mean {way}?" if way else ""
    if way != near:
        guess = f"; did you mean {way}, the successor of {near}?"
    # Another provider's id, letter for letter, beats a likeness.
    if owner is not None:
        guess = f"; it is a model of {owner} (-p {owner})"
    return f"{model} is not known at {provider.name}: sent as is, unchecked{guess}"
