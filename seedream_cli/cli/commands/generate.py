"""`seedream generate`: a prompt, or with `--batch` a file of them."""

from __future__ import annotations

from contextlib import ExitStack

from seedream_cli.cli import options as o


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
    like: o.Like = None,
    open: o.Open = False,  # noqa: A002 - the option's name
    preview: o.Preview = False,
    wait: o.Wait = None,
    timeout: o.Timeout = None,
    no_progress: o.NoProgress = False,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    any_format: o.AnyFormat = None,
    no_validate: o.NoValidate = False,
    dry_run: o.DryRun = False,
    sidecar: o.Sidecar = None,
    despite: o.Despite = None,
    max_images: o.MaxImages = None,
    max_cost: o.MaxCost = None,
    yes: o.Confirmed = False,
    batch: o.Batch = None,
    plan: o.Plan = False,
    check: o.Check = False,
    no_files: o.NoFiles = False,
    accept: o.Accept = None,
    jobs: o.JobsAtOnce = None,
    fail_fast: o.FailFast = False,
    shard: o.Shard = None,
    gallery: o.GalleryOfBatch = None,
) -> int:
    """Turn a prompt into image files, or a file of prompts into a batch of them."""
    typed = locals()
    from seedream_cli.cli.arguments import GenerateArguments, check_batch
    from seedream_cli.cli.context import CommandContext

    arguments = GenerateArguments(**typed)
    check_batch(arguments)
    with ExitStack() as exits:
        context = CommandContext.of_process(exits, is_still=no_progress)
        if arguments.batch is not None:
            from seedream_cli.cli.commands.batch import BatchCommand

            return BatchCommand(context, arguments).run()
        from seedream_cli.cli.commands.single import SingleRun

        return SingleRun(context, arguments).make()
