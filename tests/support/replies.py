"""What providers answer: the stored replies of each, and the few that engine tests speak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.core.model import Purpose, Reply

if TYPE_CHECKING:
    from datetime import datetime

STORED = Path(__file__).parent.parent / "replies"
"""A folder a provider, a folder a case."""
URL = "https://images.example/1.png"


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    """Build the answer to a submit from JSON, or from text as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(purpose=Purpose.SUBMIT, status=status, headers=headers, body=text.encode())


def made(*urls: str) -> Reply:
    """Ark's answer with these images."""
    return reply({"model": "m", "created": 1, "data": [{"url": url} for url in urls or (URL,)]})


def accepted(task: str = "t1") -> Reply:
    """KIE's answer to a submit."""
    return reply({"code": 200, "msg": "success", "data": {"taskId": task}})


def polled(state: str, task: str = "t1", **more: object) -> Reply:
    """KIE's answer to a poll."""
    return reply({"code": 200, "msg": "ok", "data": {"taskId": task, "state": state, **more}})


def success(
    *urls: str, task: str = "t1", began: datetime | None = None, ended: datetime | None = None
) -> Reply:
    """KIE's answer to a poll when it is done; when it says that it had begun, and was."""
    result = json.dumps({"resultUrls": list(urls or (URL,))})
    since, at = (int(each.timestamp() * 1000) if each else None for each in (began, ended))
    return polled("success", task, resultJson=result, createTime=since, completeTime=at)
