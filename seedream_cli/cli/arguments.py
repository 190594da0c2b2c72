"""What was typed, held against the profile's defaults: the `Options` that a request is made of."""

from __future__ import annotations

import json
import posixpath
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.formats import format_of_extension
from seedream_cli.core.model import Options
from seedream_cli.core.paths import explain_unreadable, is_file, is_folder
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, fields, replace
from seedream_cli.core.text import file_meant, shell_line, span_seconds
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Profile, Reference

BATCH_ONLY = (
    "batch",
    "plan",
    "check",
    "no_files",
    "accept",
    "jobs",
    "fail_fast",
    "shard",
    "gallery",
)
"""What only `generate --batch` takes."""
_NOT_IN_BATCHES = {
    "prompt": "a batch has its prompts in FILE",
    "prompt_file": "a batch has its prompts in FILE",
    "overwrite": "what the lock knows is replaced by itself, what was changed by hand is not",
    "skip_existing": "the lock knows what is there; --accept NAME records what it does not know",
    "dry_run": "--plan says what would be made",
    "like": "a row says itself what it is",
    "open": "beside --gallery FILE.html it opens the page",
    "preview": "--gallery FILE.html shows them all",
    "no_validate": "the rows of a batch are always checked",
}
_SHORT = {
    "image": "-i",
    "output": "-o",
    "profile": "-p",
    "model": "-m",
    "size": "-s",
    "aspect": "-a",
    "count": "-n",
}
_A_PICTURE = pattern(r"(?:@|job:)(?:last(?:-[0-9]+)?|[0-9a-z]{8})(?:\.[0-9]+)?(?![0-9a-z])")
DEFAULT_TIMEOUT = 1200.0
"""Seconds, of `--timeout`."""
MAX_PROMPT_FILE = 1 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateArguments:
    """The options of `generate` as they were typed; None and False mean: not typed."""

    prompt: str | None = None
    prompt_file: str | None = None
    image: list[str] | None = None
    """The references of `edit`; None: this is `generate`."""
    output: str | None = None
    profile: str | None = None
    model: str | None = None
    size: str | None = None
    aspect: str | None = None
    count: int | None = None
    sandbox: bool = False
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    series: int | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: int | None = None
    quality: str | None = None
    format: str | None = None
    watermark: bool | None = None
    set: list[str] | None = None
    callback_url: str | None = None
    like: str | None = None
    wait: bool | None = None
    timeout: float | None = None
    no_progress: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    any_format: bool | None = None
    no_validate: bool = False
    dry_run: bool = False
    sidecar: bool | None = None
    despite: list[str] | None = None
    open: bool = False
    preview: bool = False
    batch: str | None = None
    plan: bool = False
    check: bool = False
    no_files: bool = False
    accept: list[str] | None = None
    jobs: int | None = None
    fail_fast: bool = False
    max_images: int | None = None
    max_cost: str | None = None
    shard: str | None = None
    gallery: str | None = None
    yes: bool = False

    def default(self, name: str, profile: Profile) -> object:
        """Return an option as typed, else as the profile sets it, else None."""
        typed = getattr(self, name)
        return typed if typed is not None else profile.defaults.get(name)


def check_batch(arguments: GenerateArguments) -> None:
    """Raise `UsageError` for options that only a batch takes, or that none takes."""
    if arguments.batch is None:
        for name in BATCH_ONLY:
            if _is_typed(arguments, name):
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} is for batches", hint="add --batch FILE")
        return
    for name, reason in _NOT_IN_BATCHES.items():
        if name == "open" and arguments.gallery is not None:
            continue  # the page is what it opens
        if _is_typed(arguments, name):
            flag = "PROMPT" if name == "prompt" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} and --batch exclude each other: {reason}")
    if arguments.output == "-":
        raise UsageError("-o - takes one picture; a batch writes files")
    modes = [f"--{name}" for name in ("plan", "check", "accept") if getattr(arguments, name)]
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)} exclude each other")


def command_line(arguments: GenerateArguments, **changes: object) -> str:
    """Return what was typed as one line for the shell, some options changed: right as pasted."""
    said = replace(arguments, **changes)  # type: ignore[arg-type]  # each caller names real fields
    words = ["seedream", "generate" if said.image is None else "edit"]
    # A prompt that begins with a dash would be taken for an option.
    is_last = said.prompt is not None and said.prompt.startswith("-") and said.prompt != "-"
    words += [] if said.prompt is None or is_last else [said.prompt]
    for each in fields(said):
        value = getattr(said, each.name)
        flag = _SHORT.get(each.name, f"--{each.name.replace('_', '-')}")
        if each.name == "prompt" or value is None or value is False:
            continue
        if each.name == "verbose":
            words += ["-v"] * said.verbose
        elif value is True:
            words.append(flag)
        else:
            for one in value if isinstance(value, list) else [value]:
                words += [flag, str(one)]
    for name in ("watermark", "wait"):
        words += [f"--no-{name}"] if getattr(said, name) is False else []
    words += ["--", str(said.prompt)] if is_last else []
    return shell_line(words)


def _is_typed(arguments: GenerateArguments, name: str) -> bool:
    value = getattr(arguments, name)
    return value is not None and value is not False


def read_prompt(arguments: GenerateArguments) -> str:
    """Return the prompt from the argument, a file or stdin; raise `UsageError` for none or two."""
    if arguments.prompt is not None and arguments.prompt_file is not None:
        raise UsageError("the prompt is given twice: as PROMPT and with --prompt-file")
    if "-" in {arguments.prompt, arguments.prompt_file}:
        tell_of_typing("the prompt", is_quiet=arguments.quiet)
        return _read_bytes(sys.stdin.buffer.read(MAX_PROMPT_FILE + 1), "stdin")
    if arguments.prompt_file is not None:
        return _read_file(arguments.prompt_file)
    if arguments.prompt is None and arguments.image and (arguments.set or arguments.model):
        return (
            ""  # layers of a picture can be had without a word; other models say that they lack it
        )
    if arguments.prompt is None:
        raise UsageError(
            "there is no PROMPT",
            hint=command_line(replace(arguments, prompt="a lighthouse at dawn"))
            + "\n- in its place reads it from stdin, -f FILE from a file",
        )
    # A picture of an earlier job, as `-i` takes it: `@last`, `job:01k3f9zq.2`.
    named = _A_PICTURE.match(arguments.prompt)
    if named is not None:
        rest = arguments.prompt[named.end() :].lstrip(" ,:;-")
        images = [named[0], *(arguments.image or ())]
        line = command_line(replace(arguments, prompt=rest, image=images))
        raise UsageError(
            f"“{named[0]}” names a picture; a prompt says what to draw",
            hint=line if rest else f"to change it: edit, a PROMPT, and -i {named[0]}",
        )
    _check_no_file(arguments, arguments.prompt)
    return arguments.prompt


def _check_no_file(arguments: GenerateArguments, prompt: str) -> None:
    """Raise `UsageError` for a file that was meant to be read, or drawn from."""
    rest = prompt.removeprefix("@")
    file = file_meant(prompt)
    if file is None:
        file = next(filter(_is_file, (prompt, rest)), None)
    if file is None:
        return
    if format_of_extension(Path(file).suffix) is not None:
        images = [file, *(arguments.image or ())]
        line = command_line(replace(arguments, prompt="make it night", image=images))
        hint = f"to draw from it, say what to make of it:\n{line}"
    else:
        line = command_line(replace(arguments, prompt=None, prompt_file=file))
        hint = f"to read the prompt from it:\n{line}"
    raise UsageError(f"“{prompt}” is a file; a prompt says what to draw", hint=hint)


def tell_of_typing(what: str, *, is_quiet: bool = False) -> None:
    """Say on stderr that `what` is to be typed, where a terminal is read and somebody sees it."""
    if is_quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    with suppress(OSError):
        sys.stderr.write(f"reading {what} from the terminal; end with Ctrl-D\n")
        sys.stderr.flush()


def read_stdin() -> bytes:
    """Return all of stdin, up to what no provider would take."""
    return sys.stdin.buffer.read((100 << 20) + 1)


def options(
    arguments: GenerateArguments,
    profile: Profile,
    prompt: str,
    references: tuple[Reference, ...] = (),
) -> Options:
    """Merge what was typed with the profile's defaults."""
    from seedream_cli.request.options import OF_REQUESTS, overlay

    typed = {name: getattr(arguments, name) for name in (*OF_REQUESTS, "count")}
    merged = overlay({**typed, "set": settings(arguments.set or [])}, profile.defaults)
    # Typed words are orders; a default that the model lacks is left out with a note.
    defaulted = {name for name in OF_REQUESTS if name in merged and typed[name] is None}
    if not arguments.model and profile.model:
        defaulted.add("model")
    return Options(  # the types were checked where the values were read
        prompt=prompt,
        model=arguments.model or profile.model,
        count=merged.get("count", 1),  # type: ignore[arg-type]
        extra=merged["set"],  # type: ignore[arg-type]
        references=references,
        edit=arguments.image is not None,
        validate=not arguments.no_validate,
        defaulted=frozenset(defaulted),
        whose="the profile's" if arguments.like is None else "that picture's",
        **{name: merged.get(name) for name in OF_REQUESTS},  # type: ignore[arg-type]
    )


def parse_span(text: str, option: str) -> timedelta:
    """Read `2h`, `30m`, `1d`; raise `UsageError` for anything else."""
    seconds = None if text.strip().isdecimal() else span_seconds(text)
    try:
        span = None if seconds is None else timedelta(seconds=seconds)
    except OverflowError:
        span = None
    if span is None:
        raise UsageError(f"{option} {text}: a span is written 30m, 2h, 1d")
    return span


def settings(pairs: list[str]) -> dict[str, object]:
    """Read `--set KEY=VALUE`: nested keys by dots, VALUE as JSON, else as text.

    seed=7             {"seed": 7}
    a.b=x              {"a": {"b": "x"}}
    name="7"           {"name": "7"}, a text
    """
    from seedream_cli.request.options import merge

    found: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        names = key.split(".")
        if not equals or not all(names):
            raise UsageError(f"--set {pair}: it has the form KEY=VALUE or KEY.SUBKEY=VALUE")
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            # What is no JSON is a plain word: nobody quotes twice for the shell.
            value = text
        nested: object = value
        for name in reversed(names):
            nested = {name: nested}
        found = merge(found, nested)  # type: ignore[arg-type]
    return found


def _no_constant(word: str) -> object:
    raise ValueError(word)


def _read_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return _read_bytes(file.read(MAX_PROMPT_FILE + 1), name)
    except (OSError, ValueError) as error:
        raise explain_unreadable(name, error) from error


def _read_bytes(data: bytes, name: str) -> str:
    if len(data) > MAX_PROMPT_FILE:
        raise UsageError(f"{name} is no prompt: it is larger than {MAX_PROMPT_FILE // 1024} KiB")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is no UTF-8 text") from error


def _is_file(prompt: str) -> bool:
    return bool(prompt) and is_file(prompt)


def current_folder() -> str:
    """Return the working folder, absolute; raise `StorageError` when it is gone."""
    try:
        return str(Path.cwd())
    except OSError as error:
        raise StorageError(f"the current folder cannot be used: {error.strerror}") from error


def plan_of(
    environ: Mapping[str, str], output: str | None, *, many: bool, many_per_job: bool = False
) -> naming.Destination:
    """Settle what `--output` means in the current folder; raise `UsageError` or `StorageError`."""
    from seedream_cli.storage.config.places import expand_home

    base = current_folder()
    path = expand_home(output, environ) if output is not None else None
    there = posixpath.join(base, path or "")
    return naming.plan(
        path,
        base=base,
        is_folder=path is not None and is_folder(there),
        is_file=path is not None and is_file(there),
        many=many,
        many_per_job=many_per_job,
    )
