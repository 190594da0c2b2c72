"""The options of a request, one by one: has a model such an option, and does it take this value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.request.sizes import frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.core.model import Options, Request
    from seedream_cli.providers.spec import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option that some models have and others lack."""

    field: str
    """Its name in `Options`."""
    flag: str
    """How a person writes it."""
    is_said: Callable[[Options], bool]
    drop: Callable[[Options], Options]
    """Leaves it out."""
    has: Callable[[Capabilities], bool]
    """The model has such an option."""
    hold: Callable[[Capabilities, str, Options], object]
    """Raises `UsageError` where the model, called by that name, does not take the value."""

    def objection(self, capabilities: Capabilities, name: str, options: Options) -> str:
        """Return why the model does not take what was said; empty when it does."""
        if not self.has(capabilities):
            return f"{name} takes no {self.flag}"
        try:
            self.hold(capabilities, name, options)
        except UsageError as error:
            return error.message
        return ""


def makes(capabilities: Capabilities | None, wanted: str) -> bool | None:
    """Return whether the model can be made to give `png` or `jpeg`; None: nobody can say.

    True where the request can ask for it, or where the model makes nothing else.
    """
    if capabilities is None or not capabilities.formats:
        return None
    if wanted not in capabilities.formats:
        return False
    return True if capabilities.picks_format or len(capabilities.formats) == 1 else None


def most_images(request: Request, capabilities: Capabilities | None) -> int:
    """Return how many pictures one request may bring at most."""
    asked = request.count * (request.series or 1)
    if capabilities is None or not capabilities.layers:
        return asked
    is_layered = capabilities.is_layered or request.extra.get("layer_decomposition") is True
    return capabilities.layers if is_layered else asked


def plain_format(text: str) -> str:
    """Return a format's one spelling here: `jpg` and `.JPG` are `jpeg`."""
    word = text.strip().lower().removeprefix(".")
    return "jpeg" if word == "jpg" else word


def _hold_format(capabilities: Capabilities, name: str, options: Options) -> None:
    wanted = plain_format(options.format or "")
    verdict = makes(capabilities, wanted)
    if verdict is None:
        raise UsageError(f"{name} chooses its format itself: leave --format out")
    if not verdict:
        made = " or ".join(word.upper() for word in capabilities.formats)
        only = " only" if len(capabilities.formats) == 1 else ""
        raise UsageError(f"{name} makes {made}{only}, not {wanted.upper()}")


def _hold_within(flag: str, value: float | None, bounds: tuple[float, float] | None) -> None:
    if value is None or bounds is None:
        return
    if not math.isfinite(value) or not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{flag} {value} is outside {bounds[0]} to {bounds[1]}")


def _hold_references(capabilities: Capabilities, name: str, options: Options) -> None:
    given, (least, most) = len(options.references), capabilities.references
    if given > most:
        raise UsageError(f"{given} reference images; {name} takes at most {most}")
    if given < least:
        raise UsageError(f"{given} reference images; {name} needs at least {least}")


def _hold_series(capabilities: Capabilities, name: str, options: Options) -> None:
    wanted, given = options.series or 0, len(options.references)
    if wanted > capabilities.max_series:
        raise UsageError(
            f"--series {wanted}: {name} makes sets of at most {capabilities.max_series}"
        )
    together = capabilities.max_inputs_and_outputs
    if together is not None and wanted + given > together:
        room = together - given
        way = f"--series {room}" if room > 1 else "fewer references"
        raise UsageError(
            f"--series {wanted} with {given} references makes {wanted + given} images; "
            f"{name} takes {together} together ({way} would do)"
        )


def _nothing_to_hold(_capabilities: Capabilities, _name: str, _options: Options) -> None:
    """Take any value."""


OPTIONS: Final = (
    Option(
        field="size",
        flag="--size",
        is_said=lambda options: options.size is not None,
        drop=lambda options: replace(options, size=None),
        has=lambda model: bool(model.sizes) or model.pixels is not None,
        hold=lambda model, name, options: frame(model, name, size=options.size),
    ),
    Option(
        field="aspect",
        flag="--aspect",
        is_said=lambda options: options.aspect is not None,
        drop=lambda options: replace(options, aspect=None),
        has=lambda model: bool(model.aspects) or model.any_aspect,
        hold=lambda model, name, options: frame(model, name, aspect=options.aspect),
    ),
    Option(
        field="quality",
        flag="--quality",
        is_said=lambda options: options.quality is not None,
        drop=lambda options: replace(options, quality=None),
        has=lambda model: bool(model.quality),
        hold=lambda model, name, options: frame(model, name, quality=options.quality),
    ),
    Option(
        field="references",
        flag="-i IMAGE",
        is_said=lambda options: bool(options.references),
        drop=lambda options: replace(options, references=()),
        has=lambda model: model.references[1] > 0,
        hold=_hold_references,
    ),
    Option(
        field="series",
        flag="--series",
        is_said=lambda options: options.series is not None,
        drop=lambda options: replace(options, series=None),
        has=lambda model: model.max_series > 1,
        hold=_hold_series,
    ),
    Option(
        field="seed",
        flag="--seed",
        is_said=lambda options: options.seed is not None,
        drop=lambda options: replace(options, seed=None),
        has=lambda model: model.seed is not None,
        hold=lambda model, _, options: _hold_within("--seed", options.seed, model.seed),
    ),
    Option(
        field="guidance",
        flag="--guidance",
        is_said=lambda options: options.guidance is not None,
        drop=lambda options: replace(options, guidance=None),
        has=lambda model: model.guidance is not None,
        hold=lambda model, _, options: _hold_within("--guidance", options.guidance, model.guidance),
    ),
    Option(
        field="steps",
        flag="--steps",
        is_said=lambda options: options.steps is not None,
        drop=lambda options: replace(options, steps=None),
        has=lambda model: model.steps is not None,
        hold=lambda model, _, options: _hold_within("--steps", options.steps, model.steps),
    ),
    Option(
        field="format",
        flag="--format",
        is_said=lambda options: options.format is not None,
        drop=lambda options: replace(options, format=None),
        has=lambda model: bool(model.formats),
        hold=_hold_format,
    ),
    Option(
        field="watermark",
        flag="--watermark",
        # No watermark is what every model gives or can be told to give.
        is_said=lambda options: options.watermark is True,
        drop=lambda options: replace(options, watermark=None),
        has=lambda model: model.watermark,
        hold=_nothing_to_hold,
    ),
)
"""Every option of `generate` and `edit` that a model may lack."""
