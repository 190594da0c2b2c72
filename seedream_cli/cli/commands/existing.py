"""What `--skip-existing` finds: pictures, and the placeholders that rehearsals left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.core.formats import FORMATS
from seedream_cli.core.model import Image
from seedream_cli.core.paths import is_there
from seedream_cli.core.record import dataclass
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.core.model import Job
    from seedream_cli.request.check import Resolved
    from seedream_cli.storage.files.naming import Destination


@dataclass(frozen=True, slots=True)
class Existing:
    """What lies where a job's pictures would go."""

    names: tuple[tuple[str, ...], ...]
    """For each picture the paths that it may have; `{ext}` may be any picture format's."""
    paths: tuple[str, ...]
    """Those that are there."""
    placeholders: tuple[str, ...]
    """Digests of pictures of rehearsals that lie there, where this is none."""

    @property
    def is_named(self) -> bool:
        """Whether each picture's name is known beforehand."""
        return bool(self.names) and all(self.names)


def find_existing(
    context: CommandContext, plan: Destination, job: Job, resolved: Resolved
) -> Existing:
    """Look where the pictures of a job would go."""
    names = tuple(_names(plan, job, k, resolved) for k in range(job.expected))
    paths, placeholders = list[str](), list[str]()
    for each in names:
        for path in filter(lambda path: is_there(plan.absolute(path)), each):
            # A rehearsal's placeholder is no picture: it does not spare a purchase.
            digest = "" if job.sandbox else _placeholder(context, plan.absolute(path))
            (placeholders if digest else paths).append(digest or path)
            if not digest:
                break
    is_known = bool(naming.targets(job))
    return Existing(names if is_known else (), tuple(paths), tuple(placeholders))


def _names(plan: Destination, job: Job, k: int, resolved: Resolved) -> tuple[str, ...]:
    from seedream_cli.engine.save import predict_extension

    fields, size = naming.fields_of_job(job, job.first_n + k), resolved.request.size
    if size is not None:
        fields |= {"width": size.width, "height": size.height}
    likely = predict_extension(resolved.capabilities, resolved.request)
    # In any format: only the bytes said which one came.
    every = dict.fromkeys([*filter(None, [likely]), *FORMATS])
    found = (naming.predict(plan, fields=fields, ext=ext) for ext in every)
    return tuple(dict.fromkeys(filter(None, found)))


def _placeholder(context: CommandContext, path: str) -> str:
    """Return the digest of what lies there, where only a rehearsal made it; else nothing."""
    from seedream_cli.storage.files.digest import look

    found = look(path) if context.has_ledger else None
    if found is None or not found.sha256:
        return ""
    jobs = context.ledger.with_image(found.sha256, sandbox=True)
    # Only where a rehearsal put it: a copy elsewhere is somebody's, whatever its bytes.
    is_its_place = any(image.path == path for job in jobs for image in job.images)
    is_real = bool(context.ledger.with_image(found.sha256, sandbox=False))
    return found.sha256 if is_its_place and not is_real else ""


def show_skipped(
    stdout: Stdout, skipped: Sequence[tuple[int, str]], plan: Destination, asked: GenerateArguments
) -> None:
    """Print the pictures that are there as results."""
    for n, path in skipped:
        if not asked.json:
            stdout.line(path)
            continue
        image = render.image_json(Image(job="", index=1, n=n, path=plan.absolute(path)))
        stdout.json(
            render.bare_json(
                state="saved",
                skipped=True,
                prompt=asked.prompt,
                sandbox=asked.sandbox,
                images=[image],
            )
        )
