"""Holds what a person asks for against what a model takes, before anything is sent."""

from __future__ import annotations

import math
import re
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from seedream_cli.core.errors import UsageError
from seedream_cli.core.formats import extension_of_format
from seedream_cli.core.model import Options, Request
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import shell_line
from seedream_cli.request.demand import measure, most_images
from seedream_cli.request.fields import check_demand, check_fields, paths
from seedream_cli.request.findings import Findings
from seedream_cli.request.model_choice import choose, is_edit, retirement
from seedream_cli.request.options import OF_MODELS, makes, plain_format
from seedream_cli.request.price import estimate
from seedream_cli.request.sizes import Frame, frame, frame_as_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from seedream_cli.core.model import Call, Demand, Money
    from seedream_cli.providers.spec import Capabilities, Provider
    from seedream_cli.request.options import Option

_HAN: Final = pattern("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CONTROL: Final = pattern("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE: Final = pattern("[\ud800-\udfff]")

_NO_PROMPT: Final = ("the prompt is empty", "seedream generate 'a lighthouse at dawn'")

_SPOKEN_FOR: Final = {"prompt": "write it as PROMPT", "model": "write it as -m ID"}
"""Fields that `--set` must not set: names, prices and checks rest on them."""

_MOST_PICTURES: Final = 1000
"""More in one command is a slip of the keyboard that would be paid for."""

_NAMED: Final = 3
"""So many models are named as a way out, not all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A request that may be sent, what its model can do, and what a person should know."""

    request: Request
    """Its `count` is all that was asked for; `split` makes the requests to send."""
    capabilities: Capabilities | None
    """None: the model is not known here, nothing was checked."""
    demand: Demand
    """What one request of it asks for at most."""
    notes: tuple[str, ...] = ()

    @property
    def most_images(self) -> int:
        """How many pictures one request may bring."""
        return most_images(self.demand)

    @property
    def price(self) -> Money | None:
        """What one request may cost; None where that is not known."""
        return estimate(self.capabilities, self.demand)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspection:
    """Where one request is looked at."""

    provider: Provider
    providers: Iterable[Provider]
    options: Options
    findings: Findings
    now: datetime
    """Which models are retired is a matter of the date."""

    @property
    def others(self) -> Iterator[Provider]:
        """The other providers, each imported when it is reached: mostly nobody asks."""
        return (each for each in self.providers if each.name != self.provider.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileName:
    """The format that a file's name asks for, if it asks for one, and the rest of that name."""

    format: str | None
    stem: str


def resolve(
    provider: Provider, options: Options, *, now: datetime, providers: Iterable[Provider] = ()
) -> Resolved:
    """Return the complete request for what was asked, with defaults, twins and sizes resolved.

    `providers` are searched for models that can do what this one cannot. Raises `UsageError` that
    names every mistake; what a profile's defaults ask beyond the model becomes a note instead.
    """
    return resolve_named(provider, options, None, "", now=now, providers=providers)


def resolve_named(
    provider: Provider,
    options: Options,
    wanted: str | None,
    stem: str,
    *,
    now: datetime,
    providers: Iterable[Provider] = (),
) -> Resolved:
    """Do as `resolve` does where a file's name asks for the format `wanted`, if for any.

    `stem` is that name without its extension, for the words of a refusal.
    """
    desk = _Inspection(
        provider=provider, providers=providers, options=options, findings=Findings(), now=now
    )
    named = _FileName(format=wanted, stem=stem)
    living = provider.living(now)
    stand_ins = [name for name in provider.stand_ins if name in living]
    if options.model is None and stand_ins:
        found = _by_who_can(desk, named, stand_ins)
    else:
        found = _by_name(desk, named)
    note = retirement(
        provider, found.request.model, now, lambda model: _is_able(desk, named, provider, model)
    )
    return replace(found, notes=(note, *found.notes)) if note else found


def _by_who_can(desk: _Inspection, named: _FileName, stand_ins: Iterable[str]) -> Resolved:
    """Return the default's request, or a stand-in's where that can do more of what was asked.

    What cannot be done at all is a refusal, what a profile's defaults ask in vain a note: who has
    fewest notes is taken. `-s 4K`, typed or a profile's, goes to who makes 4K; a seed that neither
    takes stays with the default.
    """
    default, options = desk.provider.default_model, desk.options
    refusals: dict[str | None, UsageError] = {}
    found: dict[str | None, Resolved] = {}
    for model in (None, *stand_ins):
        try:
            # Strictly, also with `--no-validate`: else each of them could do everything.
            found[model] = _by_name(desk, named, replace(options, model=model, validate=True))
        except UsageError as error:
            refusals[model] = error
    if not found and options.validate:
        raise _nobody_can(desk, named, refusals)
    # Of equals the first: the default, where it is among them.
    model = min(found, key=lambda each: len(found[each].notes), default=None)
    able = (
        found[model]
        if found and options.validate
        else _by_name(desk, named, replace(options, model=model))
    )
    if model is None:
        return able
    note = f"{model} stands in for {default}, which lacks what the profile asks for"
    if None in refusals:
        why = refusals[None].message.splitlines()[-1].removeprefix("- ")
        note = f"{why}, so {model} stands in"
    return replace(able, notes=(note, *able.notes))


def _nobody_can(
    desk: _Inspection, named: _FileName, refusals: Mapping[str | None, UsageError]
) -> UsageError:
    """Return why neither the default nor its stand-in can do it, and who can."""
    first, (stand_in, last) = refusals[None], list(refusals.items())[-1]
    # Both lack the same: one word of it is enough.
    if first.message == last.message:
        return first
    able = [
        f"-p {other.name}{f' -m {model}' if model else ''}"
        for other in desk.others
        for model in other.on_offer(desk.now)
        if _is_able(desk, named, other, model)
    ]
    able = [
        f"-m {model}"
        for model in desk.provider.on_offer(desk.now)
        if _is_able(desk, named, desk.provider, model)
    ] or able
    ways = [f"models that do: {', '.join(able[:_NAMED])}"] if able else []
    # Where only the file's name is in the way, that is the first thing to change.
    is_name = _is_able(desk, _FileName(format=None, stem=""), desk.provider, stand_in or "")
    return UsageError(
        f"{first.message}; its stand-in cannot either: {last.message}",
        hint="\n".join([last.hint, *ways] if is_name else ways),
    )


def _is_able(desk: _Inspection, named: _FileName, provider: Provider, model: str) -> bool:
    """Tell whether a model could do all that is asked for."""
    asked = replace(desk.options, model=model or None, validate=True, defaulted=frozenset[str]())
    try:
        _by_name(replace(desk, provider=provider), named, asked)
    except UsageError:
        return False
    return True


def _by_name(desk: _Inspection, named: _FileName, options: Options | None = None) -> Resolved:
    """Return the request of the model that the options name, else of the default."""
    options = options or desk.options
    resolved = _resolve(desk, options)
    # `--format`, typed, beats what a file is called; a profile's format gives way to it.
    is_typed = options.format is not None and "format" not in options.defaulted
    wanted = named.format
    if wanted is None or is_typed or not _is_choice(resolved.capabilities, wanted, named.stem):
        return resolved
    said = replace(options, format=wanted, defaulted=options.defaulted - {"format"})
    return _resolve(desk, said)


def _resolve(desk: _Inspection, options: Options) -> Resolved:
    findings = Findings()
    desk = replace(desk, options=options, findings=findings)
    _check_plain(desk)
    model, capabilities = choose(desk.provider, options, desk.others, findings, desk.now)
    if capabilities is not None:
        capabilities = capabilities.narrow(options.extra)
    if capabilities is None:
        request = _pass_through(desk, model)
    elif capabilities.unsaid is not None:
        within = _within(desk, model, capabilities)
        request = _pass_through(replace(desk, options=within), model)
    else:
        request = _check_known(desk, model, capabilities)
    _check_callback(desk, request)
    findings.raise_all()
    # Of one request: each picture that `--count` asks for is a request of its own (`split`).
    demand = measure(desk.provider, capabilities, replace(request, count=1))
    if capabilities is not None and options.validate:
        check_demand(capabilities, model or capabilities.label, demand, findings)
        findings.raise_all()
    return Resolved(
        request=request, capabilities=capabilities, demand=demand, notes=tuple(findings.notes)
    )


def _is_choice(capabilities: Capabilities | None, wanted: str, stem: str) -> bool:
    """Tell whether the format that a name asks for can be sent; raise `UsageError` for never."""
    verdict = makes(capabilities, wanted)
    if verdict is False and capabilities is not None:
        ext = extension_of_format(capabilities.formats[0])
        only = " or ".join(word.upper() for word in capabilities.formats)
        raise UsageError(
            f"{capabilities.label} makes {only} only, not {wanted.upper()}",
            hint=f"use -o {shell_line([f'{stem}.{ext}'])} or -o {shell_line([stem])},"
            " or keep the name with --any-format",
        )
    return verdict is True and capabilities is not None and capabilities.picks_format


def split(resolved: Resolved) -> tuple[Request, ...]:
    """Return the requests to send, one a job: a lost answer then loses one."""
    return (replace(resolved.request, count=1),) * resolved.request.count


def _check_plain(desk: _Inspection) -> None:
    """Check what holds for every model, also without `validate`."""
    options, findings = desk.options, desk.findings
    # So Python hands over what is no UTF-8 on a command line: https://peps.python.org/pep-0383/
    if _SURROGATE.search(options.prompt):
        findings.object("the prompt holds bytes that are no UTF-8")
    # Tabs and line breaks are none of these: a prompt may have several lines.
    if _CONTROL.search(options.prompt):
        findings.object("the prompt holds control characters")
    if not 1 <= options.count <= _MOST_PICTURES:
        findings.object(f"--count {options.count}: from 1 to {_MOST_PICTURES}")
    if options.series is not None and options.series <= 1:
        findings.object(f"--series {options.series}: a set has at least 2 pictures")
    if options.guidance is not None and not math.isfinite(options.guidance):
        findings.object(f"--guidance {options.guidance} is no number")
    if options.edit and not options.references:
        findings.object("edit needs a reference image", "add -i IMAGE")
    is_inline = any(reference.url.startswith("data:") for reference in options.references)
    if is_inline and desk.provider.reference_kinds == {"url"}:
        findings.object(f"{desk.provider.title} takes reference images by https URL only")
    for path in paths(options.extra):
        if way := _SPOKEN_FOR.get(path.rpartition(".")[2]):
            findings.object(f"--set {path} is not possible: {way}")


def _check_known(desk: _Inspection, model: str, capabilities: Capabilities) -> Request:
    """Return the request for a known model."""
    name = model or capabilities.label
    _check_prompt(desk, capabilities, name)
    options = _within(desk, model, capabilities)
    request = _request(model, options, _shape(desk, capabilities, name, options))
    if not options.validate:
        _check_encoded(desk, model, capabilities, is_known=True)
    # It has no field for it; what was asked for is what it makes anyway (`_check_format`).
    elif not capabilities.picks_format:
        request = replace(request, format=None)
    if options.validate:
        check_fields(desk.provider, capabilities, name, request, desk.findings)
    return request


def _pass_through(desk: _Inspection, model: str) -> Request:
    """Return the request for an unknown model, in the person's own words."""
    if not desk.options.prompt.strip():
        desk.findings.object(*_NO_PROMPT)
    guide = desk.provider.guide
    try:
        request = _wording(model, guide, desk.options, is_known=False)
    except UsageError as mistake:
        desk.findings.mistakes.append(mistake)
        return Request(model=model, prompt=desk.options.prompt, is_known_model=False)
    _check_encoded(desk, model, guide, is_known=False)
    return request


def _within(desk: _Inspection, model: str, capabilities: Capabilities) -> Options:
    """Return the options that the model takes; what it does not is a mistake or a note.

    a seed, typed, for a model that has none       a mistake, with the models that take it
    the same in a profile                          left out, with a note
    the same, typed with --no-validate             sent as it stands
    """
    name, kept = model or capabilities.label, desk.options
    for option in OF_MODELS:
        if not option.is_said(desk.options):
            continue
        objection = option.objection(capabilities, name, desk.options)
        if not objection:
            continue
        if option.name in desk.options.defaulted:
            whose = desk.options.whose
            desk.findings.note(f"{objection}: {whose} {option.name} is left out")
        elif desk.options.validate:
            desk.findings.object(objection, _way_out(desk, model, option))
        else:
            continue
        kept = option.drop(kept)
    return kept


def _way_out(desk: _Inspection, model: str, option: Option) -> str:
    """Return which models take what this one does not: of this provider, else of others."""
    own = [
        f"-m {other}"
        for other, able in desk.provider.on_offer(desk.now).items()
        if other != model and _takes(able, other, option, desk.options)
    ]
    # Another model of the same account before another account.
    ways = own or [
        f"-p {provider.name}{f' -m {other}' if other else ''}"
        for provider in desk.others
        for other, able in provider.on_offer(desk.now).items()
        if _takes(able, other, option, desk.options)
    ]
    return f"models that do: {', '.join(ways[:_NAMED])}" if ways else ""


def _takes(capabilities: Capabilities, name: str, option: Option, options: Options) -> bool:
    """Return whether another model takes the option and serves the same kind of request."""
    capabilities = capabilities.narrow(options.extra)
    least, most = capabilities.references
    # `edit` before its picture is known: it has one at least.
    given = max(1, len(options.references))
    is_same_kind = least <= given <= most if is_edit(options) else least == 0
    return is_same_kind and not option.objection(capabilities, name, options)


def _check_prompt(desk: _Inspection, capabilities: Capabilities, name: str) -> None:
    """Check the prompt's length; what is only advised is a note."""
    text, (least, most) = desk.options.prompt, capabilities.prompt
    if not text.strip():
        if capabilities.needs_prompt:
            desk.findings.object(*_NO_PROMPT)
        return
    if not desk.options.validate:
        return
    if len(text.strip()) < least:
        desk.findings.object(
            f"the prompt has {len(text.strip())} characters; {name} needs at least {least}"
        )
    if most is not None and len(text) > most:
        desk.findings.object(f"the prompt has {len(text)} characters; {name} takes at most {most}")
    if capabilities.prompt_advice is None:
        return
    counts = len(_HAN.findall(text)), len(_HAN.sub(" ", text).split())
    kinds = "Han characters", "words"
    for count, advised, kind in zip(counts, capabilities.prompt_advice, kinds, strict=True):
        if count > advised:
            desk.findings.note(
                f"the prompt has {count} {kind}; {name} may miss details beyond {advised}"
            )


def _shape(desk: _Inspection, capabilities: Capabilities, name: str, options: Options) -> Frame:
    """Return the picture's shape; where words clash, a profile's defaults give way."""
    words = {"size": options.size, "aspect": options.aspect, "quality": options.quality}
    try:
        return frame(capabilities, name, **words)
    except UsageError as error:
        clash = error
    yielding = [word for word in words if words[word] is not None and word in options.defaulted]
    # As few of the profile's words as will do: each alone first, then two, then three.
    for left_out in chain.from_iterable(
        combinations(yielding, count) for count in range(1, len(yielding) + 1)
    ):
        try:
            shape = frame(capabilities, name, **(words | dict.fromkeys(left_out)))
        except UsageError:
            continue
        which = " and ".join(left_out)
        desk.findings.note(f"{options.whose} {which} is left out: {clash.message}")
        return shape
    if not options.validate:
        return frame_as_given(capabilities, **words)
    desk.findings.mistakes.append(clash)
    return Frame()


def _check_encoded(
    desk: _Inspection, model: str, guide: Capabilities | None, *, is_known: bool
) -> None:
    """Check that nothing said is lost in the provider's encoding: nothing goes in silence."""
    options = desk.options
    # An option that says what others come to anyway changes nothing beside them, but alone.
    silent = options
    for option in OF_MODELS:
        silent = option.drop(silent)

    def body_of(said: Options) -> Call:
        return desk.provider.dialect.submit(_wording(model, guide, said, is_known=is_known))

    for option in OF_MODELS:
        if not option.is_said(options):
            continue
        # A choice that the model leaves no choice in needs no words.
        is_moot = guide is not None and is_known and not option.objection(guide, model, options)
        alone = replace(silent, **{option.name: getattr(options, option.name)})
        is_heard = body_of(options) != body_of(option.drop(options))
        if is_moot or is_heard or body_of(alone) != body_of(silent):
            continue
        message = f"{option.flag} has no known form for {model}"
        if option.name in options.defaulted or not options.validate:
            desk.findings.note(f"{message}: it is left out")
            continue
        way = "--set KEY=VALUE"
        if option.name == "size" and desk.provider.has_own_words:
            way = "--set quality=WORD, whose words differ between its models"
        desk.findings.object(message, f"use the provider's own field: {way}")


def _check_callback(desk: _Inspection, request: Request) -> None:
    """Check that the callback URL is one, and that the provider hears of it."""
    url = desk.options.callback_url
    if url is None:
        return
    if not _is_web_url(url):
        desk.findings.object(f"--callback-url {url!r} is no http or https URL")
    elif desk.findings.mistakes:
        return  # an unfinished request is not shown to a dialect
    elif not _is_heard(desk.provider, request, replace(request, callback_url=None)):
        able = [other.name for other in desk.others if _has_callbacks(other)]
        hint = f"providers that do: {', '.join(able)}" if able else ""
        desk.findings.object(f"{desk.provider.title} takes no --callback-url", hint)


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(
            re.fullmatch(r"[!-~]+", url) and parts.scheme in {"http", "https"} and parts.hostname
        )
    except ValueError:
        return False


def _is_heard(provider: Provider, request: Request, other: Request) -> bool:
    """Return whether the provider's encoding tells the two requests apart."""
    submit = provider.dialect.submit
    return submit(request) != submit(other)


def _has_callbacks(provider: Provider) -> bool:
    """Return whether the provider's encoding has a place for a callback URL."""
    model = provider.default_model or ""
    if model not in provider.models:
        return False
    # Its own encoding is asked, so that no second list of them can be wrong.
    plain = _request(model, Options(prompt="-"), frame(provider.models[model], model))
    return _is_heard(provider, replace(plain, callback_url="https://example.com/"), plain)


def _wording(
    model: str, guide: Capabilities | None, options: Options, *, is_known: bool
) -> Request:
    """Return the request in the person's own words."""
    shape = frame_as_given(guide, size=options.size, aspect=options.aspect, quality=options.quality)
    return replace(_request(model, options, shape), is_known_model=is_known)


def _request(model: str, options: Options, shape: Frame) -> Request:
    """Return the options as a request, with the shape that was found for it."""
    return Request(
        model=model,
        prompt=options.prompt,
        keyword=shape.keyword,
        size=shape.size,
        aspect=shape.aspect,
        count=options.count,
        series=options.series,
        seed=options.seed,
        guidance=options.guidance,
        steps=options.steps,
        quality=shape.quality,
        format=None if options.format is None else plain_format(options.format),
        watermark=options.watermark is True,
        extra=options.extra,
        references=options.references,
        callback_url=options.callback_url,
        edit=is_edit(options),
    )
