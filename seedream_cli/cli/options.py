"""The options of the commands, each described once; help, completion and parsing read them."""

from __future__ import annotations

from typing import Annotated

import typer

from seedream_cli.core.text import span_seconds

MORE = "More"
_LONGEST_WAIT = 86400.0
"""Seconds."""


def parse_wait(text: str | float) -> float:
    """Return the seconds that a person wants something to take at most."""
    seconds = span_seconds(str(text))  # a default comes as it is
    if seconds is None or seconds > _LONGEST_WAIT:
        raise typer.BadParameter(f"{text}: a span is written 600, 10m or 2h; at most a day")
    return seconds


BATCHES = "Batches"
SETTLE = "Settle unknown jobs"

Prompt = Annotated[
    str | None,
    typer.Argument(metavar="[PROMPT]", help="What to draw; '-' reads it from stdin."),
]
PromptFile = Annotated[
    str | None,
    typer.Option("-f", "--prompt-file", metavar="FILE", help="Read the prompt from a file."),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        "--image",
        metavar="IMAGE",
        help="A file, an https URL, '-', job:last.2 or @last; repeats, in order.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="A file, a folder/, a template, or '-' for stdout. Fields: {slug} {job} {n} {ext}"
        " {date} {time} {model} {provider} {seed} {width} {height}.",
    ),
]
ProfileName = Annotated[
    str | None,
    typer.Option("-p", "--profile", metavar="NAME", help="A profile, or a provider's name."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="ID",
        help="An id, or 5.5, 5-pro, 5-flash, 5-lite, 4.5, 4; see `seedream providers show`.",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option("-s", "--size", metavar="SIZE", help="1K, 1.5K, 2K, 3K, 4K or WIDTHxHEIGHT."),
]
Aspect = Annotated[
    str | None,
    typer.Option("-a", "--aspect", metavar="RATIO", help="16:9, 3:4, 1:1…"),
]
Count = Annotated[
    int | None,
    typer.Option("-n", "--count", metavar="N", min=1, max=1000, help="N independent pictures."),
]
Sandbox = Annotated[
    bool,
    typer.Option("--sandbox", help="Offline rehearsal: no key, no network, no charge."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a job on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        show_default=False,
        help="A line each request; twice: bodies. Never keys.",
    ),
]

Series = Annotated[
    int | None,
    typer.Option(
        "--series",
        metavar="N",
        help="One request for a set of up to N related pictures; say the number in the prompt.",
        rich_help_panel=MORE,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="The same seed, the same picture.",
        rich_help_panel=MORE,
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance", metavar="X", help="How closely to follow the prompt.", rich_help_panel=MORE
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", metavar="N", help="Quality against time (kie-seedream).", rich_help_panel=MORE
    ),
]
Quality = Annotated[
    str | None,
    typer.Option(
        "--quality", metavar="WORD", help="The provider's own word.", rich_help_panel=MORE
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="png|jpeg", rich_help_panel=MORE),
]
Watermark = Annotated[
    bool | None,
    typer.Option("--watermark/--no-watermark", help="Default: no.", rich_help_panel=MORE),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A request field of the provider's own, as is; nested as a.b=VALUE; repeats.",
        rich_help_panel=MORE,
    ),
]
CallbackUrl = Annotated[
    str | None,
    typer.Option(
        "--callback-url",
        metavar="URL",
        help="Where the provider tells that it is done (KIE).",
        rich_help_panel=MORE,
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like",
        metavar="JOB|FILE",
        help="Ask for the same as that picture did; what is said beside it wins.",
        rich_help_panel=MORE,
    ),
]
Wait = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        help="--no-wait: print the job and leave; `seedream download` goes on.",
        rich_help_panel=MORE,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SPAN",
        parser=parse_wait,
        help="How long to wait for an accepted job: 10m, 2h, 600 (default 1200 s).",
        rich_help_panel=MORE,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an existing file.", rich_help_panel=MORE),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Where the file exists, print its path.", rich_help_panel=MORE
    ),
]
AnyFormat = Annotated[
    bool | None,
    typer.Option(
        "--any-format",
        help="Keep the name even where the format will differ.",
        rich_help_panel=MORE,
    ),
]
NoValidate = Annotated[
    bool,
    typer.Option("--no-validate", help="Skip the checks of the model.", rich_help_panel=MORE),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print method, URL, body and price; send nothing.", rich_help_panel=MORE
    ),
]
Sidecar = Annotated[
    bool | None,
    typer.Option(
        "--sidecar", help="Also write NAME.json: recipe and receipt.", rich_help_panel=MORE
    ),
]
Despite = Annotated[
    list[str] | None,
    typer.Option(
        "--despite",
        metavar="JOB",
        help="Buy although that unknown job may have been the same purchase.",
        rich_help_panel=MORE,
    ),
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        help="Plain lines, none that move: for screen readers and logs.",
        rich_help_panel=MORE,
    ),
]
MaxImages = Annotated[
    int | None,
    typer.Option(
        "--max-images",
        metavar="N",
        min=0,
        help="Buy at most N pictures.",
        rich_help_panel=MORE,
    ),
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="AMOUNT[CUR]",
        help="Spend at most that: 5, 5USD.",
        rich_help_panel=MORE,
    ),
]
Confirmed = Annotated[
    bool,
    typer.Option(
        "-y",
        "--yes",
        help="Do not ask before more than 10 pictures.",
        rich_help_panel=MORE,
    ),
]

Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="FILE",
        help="Make the pictures that a file describes: TOML, JSON Lines, a prompt a line; '-' ="
        " JSON Lines on stdin. Only what is new or changed is made.",
        rich_help_panel=BATCHES,
    ),
]
Plan = Annotated[
    bool,
    typer.Option(
        "--plan",
        help="Say what would be made, why, and the price; make nothing.",
        rich_help_panel=BATCHES,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Exit 1 where a picture is not as described; needs no key and no network.",
        rich_help_panel=BATCHES,
    ),
]
NoFiles = Annotated[
    bool,
    typer.Option(
        "--no-files",
        help="Compare the file with its lock only; the pictures lie elsewhere.",
        rich_help_panel=BATCHES,
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="NAME",
        help="Record a picture as it lies there, changed by hand or made elsewhere; 'icon-*' too.",
        rich_help_panel=BATCHES,
    ),
]
JobsAtOnce = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=1,
        max=1000,
        help="At most N jobs under way; default by provider.",
        rich_help_panel=BATCHES,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast",
        help="Begin nothing more after the first failure.",
        rich_help_panel=BATCHES,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        help="Make the K-th of N parts, for several machines.",
        rich_help_panel=BATCHES,
    ),
]
Jobs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB]...", help="01k3f9zq, last, last.3, last-1; or a picture file."),
]
All = Annotated[bool, typer.Option("--all", help="All of them, not the newest 20.")]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="At most N jobs, before --all.")
]
OfAccount = Annotated[
    str | None,
    typer.Option("-p", "--profile", metavar="NAME", help="Only jobs of this profile or provider."),
]
Grep = Annotated[
    str | None,
    typer.Option(
        "--grep", metavar="TEXT", help="Only prompts with TEXT in them, in upper or lower case."
    ),
]
StateFilter = Annotated[
    str | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state.")
]
Unsaved = Annotated[
    bool, typer.Option("--unsaved", help="Only jobs with something not yet on disk.")
]
Expiring = Annotated[
    str | None,
    typer.Option(
        "--expiring",
        metavar="SPAN",
        help="Only what is not on disk and lapses within 2h, 30m, 1d, or nobody knows when.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="SPAN", help="Only jobs of the last 30d, 12h, 1w."),
]
Gallery = Annotated[
    str | None,
    typer.Option(
        "--gallery",
        metavar="FILE.html",
        help="Write a page of the pictures, which opens in any browser.",
    ),
]
Open = Annotated[
    bool, typer.Option("--open", help="Open the pictures, or the page, in the system's viewer.")
]
Preview = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Draw what was saved in the terminal (extra `seedream[preview]`).",
        rich_help_panel=MORE,
    ),
]
GalleryOfBatch = Annotated[
    str | None,
    typer.Option(
        "--gallery",
        metavar="FILE.html",
        help="Write a page of the manifest: what is there, and what would be made.",
        rich_help_panel=BATCHES,
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no provider.")]
ExitStatus = Annotated[
    bool, typer.Option("--exit-status", help="Exit 1 where a job did not end well.")
]
NewOutput = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="PATH", help="Save there instead: a file or a folder/."),
]
TaskId = Annotated[
    str | None,
    typer.Option(
        "--task-id",
        metavar="ID",
        help="Adopt a task that was made elsewhere (with -p NAME).",
    ),
]
TaskModel = Annotated[
    str | None,
    typer.Option(
        "-m", "--model", metavar="ID", help="What made the --task-id; fal is asked by it."
    ),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Save what is ready; do not wait for the rest.")
]
Adopt = Annotated[
    str | None,
    typer.Option(
        "--adopt",
        metavar="TASK_ID|URL",
        help="It was made: this is the provider's task, or the picture's address.",
        rich_help_panel=SETTLE,
    ),
]
NotCharged = Annotated[
    bool,
    typer.Option(
        "--not-charged", help="The provider shows no charge for it.", rich_help_panel=SETTLE
    ),
]
WriteOff = Annotated[
    bool,
    typer.Option(
        "--write-off", help="Leave it, charged or not; stop asking.", rich_help_panel=SETTLE
    ),
]
SettleYes = Annotated[
    bool,
    typer.Option(
        "-y",
        "--yes",
        help="Adopt what cannot be looked at; write off what can still be asked about.",
        rich_help_panel=SETTLE,
    ),
]

KEY = "The key (one of these)"
NewName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="Its name, for -p; a provider's name will do. At a terminal what is missing is asked.",
    ),
]
ProviderName = Annotated[
    str | None,
    typer.Option("--provider", metavar="PROVIDER", help="Default: NAME, where that is a provider."),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--key-env", metavar="VAR", help="The variable that holds it.", rich_help_panel=KEY
    ),
]
KeyCommand = Annotated[
    str | None,
    typer.Option(
        "--key-command",
        metavar="COMMAND",
        help="The command that prints it: 'pass show kie'; no shell reads it.",
        rich_help_panel=KEY,
    ),
]
KeyFile = Annotated[
    str | None,
    typer.Option("--key-file", metavar="FILE", help="The file that holds it.", rich_help_panel=KEY),
]
KeyKeyring = Annotated[
    str | None,
    typer.Option(
        "--key-keyring",
        metavar="ENTRY",
        help="Its entry in the system's keyring (extra seedream[keyring]).",
        rich_help_panel=KEY,
    ),
]
KeyStdin = Annotated[
    bool,
    typer.Option(
        "--key-stdin",
        help="Read it from stdin; it is kept in the config file.",
        rich_help_panel=KEY,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Of a gateway; http only for loopback."),
]
ProfileOutput = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", metavar="TEMPLATE", help="Where its pictures go: a folder/, a template."
    ),
]
AsDefault = Annotated[bool, typer.Option("--default", help="Use it where -p is not given.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace the profile of that name.")]
AccountName = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="A profile or a provider; default: the chosen one."),
]
ValueKey = Annotated[
    str, typer.Argument(metavar="KEY", help="model, output, aspect, budget… as in the config file.")
]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="Its new value.")]
AnyName = Annotated[str, typer.Argument(metavar="NAME", help="A profile or a provider.")]
OldName = Annotated[str, typer.Argument(metavar="NAME", help="A profile.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Although its jobs are not finished.")]
