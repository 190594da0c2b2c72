"""How jobs look: the JSON object that scripts rely on, and sentences for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seedream_cli.core import money as price
from seedream_cli.core.commands import adopt_command, settle_commands
from seedream_cli.core.model import Charge, State
from seedream_cli.core.text import clean, human_span, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Image, Job, Look, Problem, Reply

_CHARGED = {
    Charge.NONE: "nothing was charged",
    Charge.MAYBE: "it may have been charged",
    Charge.CHARGED: "it is paid",
}
WORDS = {
    State.PLANNED: "was not sent",
    State.SENDING: "is being sent",
    State.RUNNING: "is not finished",
    State.READY: "is not saved yet",
    State.SAVED: "is not complete",
    State.REFUSED: "was refused",
    State.FAILED: "failed",
    State.UNKNOWN: "has an unknown outcome",
    State.EXPIRED: "is lost",
    State.CLOSED: "was not sent",
}
_AGAIN = frozenset(
    {"budget", "unreachable", "busy", "rate_limit", "interrupted", "provider_failed"}
)


def to_line(value: Mapping[str, object]) -> str:
    """Write one JSON line: ASCII, so that any terminal, locale and parser takes it."""
    line = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    # DEL is ASCII too, and `##[error]` is a command to CI runners wherever it stands in a line.
    return line.replace("\x7f", "\\u007f").replace("##", "#\\u0023")


def job_json(job: Job, problem: Problem | None = None) -> dict[str, object]:
    """Return the object of `docs/cli.md`, "Output"; `problem` is what stopped us on the way."""
    problem = problem or job.problem
    return {
        "schema": 1,
        "run": job.run,
        "job": job.id,
        "state": job.state.value,
        "charge": job.charge.value,
        "next": next_step(job, problem),
        "provider": job.provider,
        "profile": job.profile,
        "sandbox": job.sandbox,
        "model": job.model,
        "prompt": job.prompt,
        "task_id": job.task_id,
        "request_id": job.request_id,
        "row": job.row,
        "skipped": False,
        "request": dict(job.request),
        "created_at": _time(job.created_at),
        "finished_at": _time(job.finished_at),
        "images": [image_json(image) for image in job.images],
        "price": {**price.as_json(job.price), "estimated": True} if job.price else None,
        "cost": _cost(job) if job.charge is not Charge.NONE else None,
        "error": problem_json(problem, hint_of(job, problem)) if problem else None,
        **({"found": True} if job.found_at is not None else {}),
    }


def bare_json(**known: object) -> dict[str, object]:
    """Return the same object where there is no job: an early error, a skipped file."""
    names = (
        "run job state charge next provider profile sandbox model prompt task_id request_id row"
        " skipped request created_at finished_at images price cost error"
    )
    empty: dict[str, object] = dict.fromkeys(names.split())
    defaults = {"schema": 1, "charge": "none", "sandbox": False, "skipped": False, "images": []}
    return {"schema": 1} | empty | defaults | known


def error_json(error: SeedreamError) -> dict[str, object]:
    """Return the object for an error before there is a job."""
    # A command that was held back sent nothing itself; the job in its way has to be settled.
    following = "settle" if error.code == "outcome_unknown" else "fix"
    return bare_json(
        next="retry" if error.code in _AGAIN else following,
        error={
            "code": error.code,
            "message": clean(error.message),
            "hint": clean(error.hint),
            "exit": error.exit,
        },
    )


def next_step(job: Job, problem: Problem | None) -> str | None:
    """Return the one word that tells a script how to go on.

    unknown                                  settle
    running, or ready                        download; with a key that is refused: fix
    refused                                  fix
    closed or failed, free, and it may pass  retry
    """
    code = problem.code if problem else ""
    # What was saved and is wanted once more is as good as ready while its URL is known.
    is_ready = _is_lost(job) and any(i.url for i in job.images if i.is_wanted)
    match State.READY if job.state is State.SAVED and is_ready else job.state:
        case State.UNKNOWN:
            return "settle"
        case State.RUNNING | State.READY:
            return "fix" if code in {"auth", "credit"} else "download"
        case State.PLANNED | State.SENDING if code in {"timeout", "interrupted"}:
            return "download"  # another process sends it
        case State.REFUSED:
            return "fix"
        case State.PLANNED | State.CLOSED | State.FAILED if job.charge is Charge.NONE:
            return "retry" if code in _AGAIN or not code else "fix"
        case _:
            return None


def job_exit(job: Job, problem: Problem | None) -> int:
    """Return the exit code of one job as it stands.

    saved                                        0
    saved, one of its set was not made           3
    unknown, or expired                          5
    else                                         its problem's own
    """
    problem = problem or job.problem
    match job.state:
        case State.SAVED if _is_lost(job):
            # What only stopped us may pass; the URL is known.
            if problem is None or problem == job.problem or problem.code == "provider_failed":
                return 5
            return problem.exit
        case State.SAVED if problem is not None:
            # Something was made: no code that promises that nothing was bought.
            return problem.exit if problem.code == "storage" else 3
        case State.SAVED:
            return 0
        case State.UNKNOWN | State.EXPIRED:
            return 5
        case _:
            return problem.exit if problem else 0


def _is_lost(job: Job) -> bool:
    """Tell whether a picture of a saved job lies nowhere any more."""
    is_held = bool(job.output.get("stdout"))
    return not is_held and any(each.is_wanted for each in job.images)


def sentence(job: Job, problem: Problem, *, with_hint: bool = True, is_buying: bool = True) -> str:
    """Say what happened, to which job, what it cost where a run bought, and what to type next."""
    words = WORDS[job.state]
    if problem.code in {"busy", "rate_limit"}:
        words = "was turned away"
    if job.state is State.CLOSED and job.charge is not Charge.NONE:
        words = "is written off"
    text = f"job {job.id} {words}: {problem.message}{_paid(job, problem, is_buying=is_buying)}"
    return clean(text) + hint_lines(hint_of(job, problem) if with_hint else "")


def hint_lines(hint: str) -> str:
    """Return a hint as it stands below an error: one command a line, right as pasted."""
    return "".join(
        f"\n  {clean(line, one_line=True)}" for line in hint.splitlines() if line.strip()
    )


def _paid(job: Job, problem: Problem, *, is_buying: bool) -> str:
    """Say once whether it cost anything, where a run bought."""
    # Once is enough: many a problem tells it in its own words.
    is_said = "charged" in problem.message or "paid" in problem.message
    return f"; {_CHARGED[job.charge]}" if is_buying and not (job.sandbox or is_said) else ""


def sentence_for_many(found: Sequence[tuple[Job, Problem]], *, is_buying: bool = True) -> str:
    """Say of jobs that ended alike what `sentence` says of one."""
    job, problem = found[0]
    ids = ", ".join(each.id for each, _ in found[:3])
    paid = _paid(job, problem, is_buying=is_buying)
    hints = {
        "download": "seedream download",
    }
    step = next_step(job, problem) or ""
    # How jobs of unknown outcome are settled, all of them, is said at the end of a run.
    hint = "" if step == "settle" else hints.get(step, "") or hint_of(job, problem)
    words = f"{len(found)} jobs ({ids}…): {job.state}: {problem.message}{paid}"
    return clean(words) + hint_lines(hint)


def settle_lines(unknown: Sequence[Job]) -> str:
    """Say how jobs of unknown outcome are settled, all of them by one line."""
    from seedream_cli.providers import PROVIDERS

    known = [PROVIDERS[job.provider] for job in unknown if job.provider in PROVIDERS]
    real = {job.provider for job in unknown if not job.sandbox}
    pages = dict.fromkeys(each.charges_page for each in known if each.name in real)
    look = f", after a look at {' and '.join(pages)}" if pages else ""
    is_one = len(unknown) == 1
    count, what = ("1 job has", "it") if is_one else (f"{len(unknown)} jobs have", "them")
    has_tasks = any(each.dialect.poll is not None for each in known)
    ways = settle_commands(unknown, has_tasks=has_tasks)
    return f"{count} an unknown outcome; one line settles {what}{look}:{hint_lines(ways)}"


def hint_of(job: Job, problem: Problem) -> str:
    """Return what to type next, a command a line; ledgers of old hold other words."""
    # Old versions wrote placeholders down, which no shell can run.
    if job.state is State.UNKNOWN and "TASK_ID|URL" in problem.hint:
        return _hint(job, problem)
    return problem.hint or _hint(job, problem)


def offers(job: Job, reply: Reply) -> list[str]:
    """Return the commands that adopt the pictures that a stored answer names.

    Of a job that a person can settle, and of addresses that a terminal shows as they are.
    """
    if job.state not in {State.UNKNOWN, State.FAILED, State.CLOSED} or job.sent_at is None:
        return []
    from seedream_cli.providers.reading import picture_urls

    known = {image.url for image in job.images}
    urls = [url for url in picture_urls(reply.body, but=job.recipe) if url not in known]
    return [adopt_command(job.id, url) for url in urls if clean(url, ci=True) == url]


def answer_json(job: Job, at: datetime, reply: Reply) -> dict[str, object]:
    """Return one entry of `answers`."""
    return {
        "purpose": reply.purpose.value,
        "received_at": _time(at),
        "status": reply.status,
        "body": verbatim(reply.body, is_pretty=False),
        "adopt": offers(job, reply),
    }


def look_json(look: Look) -> dict[str, object]:
    """Return one entry of `looks`."""
    return {
        "at": _time(look.at),
        "since": _time(look.since),
        "until": _time(look.until),
        "pages": look.pages,
        "verdict": look.verdict,
        "reason": clean(look.reason),
        "records": [
            {"task_id": each.task_id, "at": _time(each.at), "state": each.state}
            for each in look.records
        ],
    }


def _hint(job: Job, problem: Problem) -> str:
    match next_step(job, problem):
        case "download":
            return f"seedream download {job.id}"
        case "retry":
            return "run the same again: nothing was bought"
        case "settle":
            from seedream_cli.providers import PROVIDERS

            provider = PROVIDERS.get(job.provider)
            has_tasks = provider is None or provider.dialect.poll is not None
            return settle_commands([job], has_tasks=has_tasks)
        case "fix" if problem.code == "auth":
            from seedream_cli.engine.answers import check_line

            return check_line(job)
        case _:
            return ""


def image_json(image: Image) -> dict[str, object]:
    """Return one entry of `images`."""
    return {
        "n": image.n,
        "index": image.index,
        "path": image.path,
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "bytes": image.size,
        "sha256": image.sha256,
        "url_expires_at": _time(image.expires_at),
        "saved_at": _time(image.saved_at),
        "warning": image.warning,
        "error": problem_json(image.problem, image.problem.hint) if image.problem else None,
    }


def problem_json(problem: Problem, hint: str) -> dict[str, object]:
    """Return the object of an error."""
    return {
        "code": problem.code,
        "message": clean(problem.message),
        "hint": clean(hint),
        "exit": problem.exit,
    }


def haste(jobs: Iterable[Job]) -> str:
    """Return until when jobs that run have to be fetched; empty where there is time enough."""
    from seedream_cli.providers import PROVIDERS

    providers = {job.provider: PROVIDERS.get(job.provider) for job in jobs}
    return "; ".join(
        f"{provider.title} deletes pictures {human_span(provider.url_lifetime)} after they are"
        " made: seedream download"
        for provider in providers.values()
        if provider is not None and provider.is_fleeting and provider.url_lifetime
    )


def is_named_charge(job: Job) -> bool:
    """Tell whether what a job cost is its provider's own word, and not reckoned by a price list."""
    from seedream_cli.providers import PROVIDERS

    provider = PROVIDERS.get(job.provider)
    return job.cost is not None and provider is not None and provider.names_charge


def _cost(job: Job) -> dict[str, object] | None:
    money = job.cost or job.price
    if money is None:
        return None
    exact = {"estimated": False} if is_named_charge(job) else {}
    return {**price.as_json(money), **exact}


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
