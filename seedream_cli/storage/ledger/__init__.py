"""The only code that touches SQLite: jobs, attempts, answers, images, and who owns them."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x5EED12EA
"""`PRAGMA application_id` of a ledger of ours."""
