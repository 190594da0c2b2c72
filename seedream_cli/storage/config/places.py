"""Where the config file and the state folder lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

APP: Final = "seedream"


@dataclass(frozen=True, slots=True)
class Places:
    """The two places on disk that outlive a run."""

    config_file: Path
    state_dir: Path


def places(environ: Mapping[str, str]) -> Places:
    """Find the config file and the state folder; nothing is created.

    Where a variable is missing, platformdirs decides, which reads XDG from the process itself.
    """
    config, state = environ.get("SEEDREAM_CONFIG"), environ.get("SEEDREAM_STATE_DIR")
    if config and state:
        return Places(_absolute(config, environ), _absolute(state, environ))
    import platformdirs

    config = config or os.path.join(platformdirs.user_config_path(APP), "config.toml")  # noqa: PTH118 - stays text, `~` may lead it
    state = state or str(platformdirs.user_state_path(APP))
    return Places(_absolute(config, environ), _absolute(state, environ))


def _absolute(path: str, environ: Mapping[str, str]) -> Path:
    return Path(expand_home(path, environ)).absolute()


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """Replace a leading `~` by the home folder; all else, a trailing slash too, stays."""
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home.rstrip("/") + path[1:]
    return os.path.expanduser(path)  # noqa: PTH111 - pathlib drops the trailing slash that means "a folder"
