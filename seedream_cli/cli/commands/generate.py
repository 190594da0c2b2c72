"""`seedream generate` and `seedream edit`: what can be typed."""

from __future__ import annotations

import inspect
from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.arguments import BATCH_ONLY, GenerateArguments, check_batch
from seedream_cli.cli.commands.single import Making
from seedream_cli.cli.context import CommandContext


def generate(
    prompt: o.Prompt = None,
    prompt_file: o.PromptFile = None,
    output: o.Output = None,
    profile: o.ProfileName = None,
    model: o.Model = None,
    size: o.SizeOption = None,
    aspect: o.Aspect = None,
    count: o.Count = None,
    sandbox: o.Sandbox = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
    series: o.Series = None,
    seed: o.Seed = None,
    guidance: o.Guidance = None,
    steps: o.Steps = None,
    quality: o.Quality = None,
    format: o.Format = None,  # noqa: A002 - the option's name
    watermark: o.Watermark = None,
    set: o.Set = None,  # noqa: A002 - the option's name
    callback_url: o.CallbackUrl = None,
    wait: o.Wait = None,
    timeout: o.Timeout = None,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    any_format: o.AnyFormat = None,
    no_validate: o.NoValidate = False,
    dry_run: o.DryRun = False,
    sidecar: o.Sidecar = None,
    despite: o.Despite = None,
    batch: o.Batch = None,
    plan: o.Plan = False,
    check: o.Check = False,
    no_files: o.NoFiles = False,
    accept: o.Accept = None,
    jobs: o.JobsAtOnce = None,
    fail_fast: o.FailFast = False,
    max_images: o.MaxImages = None,
    max_cost: o.MaxCost = None,
    shard: o.Shard = None,
    yes: o.BatchYes = False,
) -> int:
    """Turn a prompt into image files, or a file of prompts into a batch of them."""
    asked = GenerateArguments(**locals())
    check_batch(asked)
    with ExitStack() as exits:
        world = CommandContext.of_process(exits)
        if asked.batch is None:
            return Making(world, asked).make()
        from seedream_cli.cli.commands.batch import Batching

        return Batching(world, asked).run()


def edit(**typed: object) -> int:
    """Turn a prompt and reference images into image files."""
    typed["image"] = typed.get("image") or []
    with ExitStack() as exits:
        return Making(CommandContext.of_process(exits), GenerateArguments(**typed)).make()  # type: ignore[arg-type]


def _dress_as_generate() -> None:
    """Give `edit` the options of `generate`, and `-i` behind the prompt's."""
    own = inspect.signature(generate, eval_str=True)
    image = inspect.Parameter(
        "image", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=o.Images
    )
    parameters = [each for each in own.parameters.values() if each.name not in BATCH_ONLY]
    signature = own.replace(parameters=[*parameters[:2], image, *parameters[2:]])
    edit.__signature__ = signature  # type: ignore[attr-defined]  # what Typer reads
    edit.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}


_dress_as_generate()
