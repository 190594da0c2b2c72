"""Makes a picture again: from what the ledger knows of a job back to what one would type."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from seedream_cli.cli.arguments import GenerateArguments, command_line, read_prompt
from seedream_cli.core.errors import AccountError, SeedreamError, UsageError
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import json_text, shell_line
from seedream_cli.request.options import OF_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.core.model import Job, Profile
    from seedream_cli.engine.references import LoadedReference

_SAME = ("size", "aspect", "seed", "format", "series", "guidance", "steps", "quality", "watermark")
"""Options that have the same name in `Job.request`."""
_OF_PICTURES = frozenset({*OF_REQUESTS, "set", "count"}) - {"callback_url"}
"""What a profile says of pictures: of one that is made again its job has said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What `--like` asks for."""

    asked: GenerateArguments
    """What was typed, the rest as it was asked for then."""
    profile: Profile
    """Its account, whose options of pictures are those of the job."""
    prompt: str
    job: Job

    def notes(self, gathered: Iterable[LoadedReference]) -> Iterator[str]:
        """Say which reference files are not any more what the job was made from."""
        recipe = json_text(dict(self.job.recipe))
        for each in gathered:
            is_from_then = each.source in _list(self.job.request.get("references"))
            if is_from_then and each.local is not None and each.digest not in recipe:
                yield f"{each.source} has changed since job {self.job.id} was made from it"


def again_line(job: Job, profile: Profile | None = None) -> str:
    """Return the command that buys a job's request once more, right as pasted.

    `profile` is the account that it will go to, where that is known. `--like` says what options
    cannot: where that profile says more of pictures than the job did, or where the prompt would be
    taken for a file.
    """
    arguments = arguments_of(job)
    if profile is not None:
        arguments = replace(arguments, profile=profile.name)
        if _OF_PICTURES.intersection(profile.defaults) - _options_of(job).keys():
            return _like_line(job, profile.name)
    if not _is_typable(arguments):
        return _like_line(job, arguments.profile)
    return command_line(arguments)


def lines_of(world: CommandContext) -> Callable[[Job], str]:
    """Return what gives of each job the command that makes it again, for the account it has now.

    Empty for a task that was made elsewhere: what was asked for is not known.
    """
    found: dict[tuple[str, str, bool], Profile | None] = {}

    def line(job: Job) -> str:
        if not (job.prompt or job.request.get("references")):
            return ""
        place = job.provider, job.origin, job.sandbox
        if place not in found:
            try:
                found[place] = account_of(world, job, job.profile)
            except SeedreamError:
                found[place] = None
        return again_line(job, found[place])

    return line


def liken(world: CommandContext, asked: GenerateArguments, show: Plain) -> Likeness:
    """Complete what was typed beside `--like` with what that picture's job asked for.

    Raises `UsageError` where it cannot be asked for: an edit by `generate`, a retired model, what
    was made elsewhere, and where several accounts could be meant.
    """
    job = _meant(world, asked, show)
    asked = replace(asked, like=job.id, sandbox=asked.sandbox or job.sandbox)
    references = [str(each) for each in _list(job.request.get("references"))]
    if references and asked.image is None:
        raise UsageError(
            f"job {job.id} is an edit: it has reference images",
            hint=command_line(replace(asked, image=[])),
        )
    profile = account_of(world, job, asked.profile, is_other_ok=asked.model is not None)
    profile = world.profile(profile.name, sandbox=asked.sandbox)
    asked = replace(asked, profile=profile.name)
    _check_living(world, job, asked, profile)
    if asked.image == []:
        _check_kept(job, references, asked)
        asked = replace(asked, image=references)
    if asked.prompt is None and asked.prompt_file is None:
        prompt = job.prompt
    else:
        prompt = read_prompt(asked)
    said = _options_of(job)
    if asked.model and "keyword" in job.request:
        said.pop("quality", None)  # the same in words of that model
    if job.provider != profile.provider and said.pop("set", None):
        show.say(f"--set of job {job.id} is left out: those are fields of {job.provider}")
    kept = {name: value for name, value in profile.defaults.items() if name not in _OF_PICTURES}
    same = job.model if job.provider == profile.provider else ""
    profile = replace(profile, model=same or None, defaults=kept | said)
    return Likeness(asked=asked, profile=profile, prompt=prompt, job=job)


def _meant(world: CommandContext, asked: GenerateArguments, show: Plain) -> Job:
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.ledger.names import find_any

    found = find_any(world.ledger, asked.like or "")
    if found.note:
        show.say(found.note)
    requests = {json_text([job.provider, job.model, job.prompt, job.request]) for job in found.jobs}
    if len(requests) > 1:
        raise UsageError(
            f"--like {asked.like}: these {len(found.jobs)} jobs asked for different things",
            hint="\n".join(command_line(asked, like=job.id) for job in found.jobs[:3]),
        )
    job = found.jobs[-1]
    if job.provider not in PROVIDERS:
        raise UsageError(f"job {job.id} is of {job.provider}, which is not known here")
    if not (job.prompt or job.request.get("references") or asked.prompt or asked.prompt_file):
        raise UsageError(f"job {job.id} was made elsewhere: what was asked for is not known here")
    return job


def account_of(
    world: CommandContext, job: Job, preferred: str | None, *, is_other_ok: bool = False
) -> Profile:
    """Return the account that a job is made again with, without its key.

    The `preferred` one if it is of the job's provider, or any where `is_other_ok`; else the
    default one where it speaks to where the job was bought; else the only profile that does.
    Raises `UsageError` for several, `AccountError` for none.
    """
    if preferred is not None:
        profile = world.profile(preferred, sandbox=job.sandbox)
        # A model's id belongs to its provider: with another account somebody has to say one.
        if profile.provider == job.provider or is_other_ok:
            return profile
        raise UsageError(
            f"job {job.id} was made at {job.provider}, and -p {preferred} is of"
            f" {profile.provider}, which has models of its own",
            hint="leave -p out, or say the model too: -m ID",
        )
    speaking = {profile.name: profile for profile in world.profiles_of(job, None)}
    with suppress(SeedreamError):  # nothing is chosen
        default = world.profile(None, sandbox=job.sandbox)
        if default.name in speaking:
            return speaking[default.name]
    # What stands in the config before a provider's bare name.
    written = [profile for name, profile in speaking.items() if name in world.config.profiles]
    if len(written) > 1:
        names = " or ".join(f"-p {profile.name}" for profile in written)
        raise UsageError(f"several profiles could make job {job.id} again", hint=names)
    for profile in [*written, *speaking.values()]:
        return profile
    raise AccountError(
        f"no profile speaks to {job.origin}, where job {job.id} was bought",
        hint=shell_line(["seedream", "providers", "add", "--provider", job.provider]),
    )


def _check_kept(job: Job, references: list[str], asked: GenerateArguments) -> None:
    """Raise `UsageError` for references that were only passed through."""
    if any(each == "-" or each.startswith("data:") for each in references):
        raise UsageError(
            f"a reference of job {job.id} came by stdin or inline and is not kept here",
            hint=command_line(replace(asked, image=["IMAGE"])),
        )


def _check_living(
    world: CommandContext, job: Job, asked: GenerateArguments, profile: Profile
) -> None:
    """Raise `UsageError` where the model has been retired and no other is said."""
    from seedream_cli.request.model_choice import retirement

    if asked.model is not None or job.provider != profile.provider:
        return
    provider, now = world.provider(profile), world.today(sandbox=profile.sandbox)
    words = retirement(provider, job.model, now, lambda _: True)
    if words:
        ways = provider.successors(job.model, now)
        hint = command_line(asked, model=ways[0]) if ways else "say another model: -m ID"
        raise UsageError(words, hint=hint)


def _is_typable(arguments: GenerateArguments) -> bool:
    """Tell whether the prompt, typed, would be taken for what it is."""
    if arguments.prompt == "-":
        return False
    try:
        return read_prompt(arguments) == arguments.prompt
    except UsageError:
        return False


def _like_line(job: Job, profile: str | None) -> str:
    is_edit: list[str] | None = [] if job.request.get("references") else None
    return command_line(
        GenerateArguments(image=is_edit, like=job.id, profile=profile, sandbox=job.sandbox)
    )


def arguments_of(job: Job) -> GenerateArguments:
    """Return what asks for the same as a job did: one request, and no place for its picture."""
    said = _options_of(job)
    own = dict(_settings(said.pop("set", {})))  # type: ignore[arg-type]  # a table, as it was read
    references = [str(each) for each in _list(job.request.get("references"))]
    return GenerateArguments(
        prompt=job.prompt,
        image=references or None,
        profile=job.profile,
        model=job.model or None,
        sandbox=job.sandbox,
        set=[f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in own.items()]
        or None,
        **said,  # type: ignore[arg-type]  # as they were checked
    )


def _options_of(job: Job) -> dict[str, object]:
    """Return the options of pictures that a job was asked for with, by their names in profiles."""
    request = job.request
    said = {name: request[name] for name in _SAME if request.get(name) is not None}
    said |= {"size": request["keyword"]} if "keyword" in request else {}
    extra = request.get("set")
    own = dict(extra) if isinstance(extra, dict) else {}
    if "count" in request:
        own |= {"n": request["count"]}  # a count of the provider's own is one request
    return said | ({"set": own} if own else {})


def _settings(extra: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the provider's own fields by dotted name."""
    for key, value in extra.items():
        if isinstance(value, dict) and value and "." not in key:
            yield from _settings(value, f"{path}{key}.")
        else:
            yield path + key, value


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
