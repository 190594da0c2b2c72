"""Puts the completion script of a shell where that shell looks, once and for all."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.core.text import shell_line

if TYPE_CHECKING:
    from collections.abc import Mapping

SHELLS: Final[Mapping[str, str]] = {
    "bash": "seedream.bash",
    "zsh": "_seedream",
    "fish": "seedream.fish",
}
"""The shells that there is a script for, and its file."""
MARK: Final = "# completion of seedream"
"""Ends the line that a start-up file gets."""
_SYSTEM_WIDE: Final = (Path("/etc/bash.bashrc"), Path("/etc/bashrc"))
_LOADS_COMPLETION: Final = pattern(r"(?m)^[^#\n]*bash.completion")


def script_of(shell: str) -> str:
    """Return the completion script of a shell; raise `UsageError` where there is none."""
    if shell not in SHELLS:
        raise UsageError(
            f"there are no completions for {shell or 'a shell that is not named'}",
            hint="\n".join(f"seedream --install-completion {known}" for known in SHELLS),
        )
    place = files("seedream_cli.cli").joinpath("completions", SHELLS[shell])
    if not place.is_file():  # not installed as a wheel, which has them within
        place = Path(__file__).parents[2] / "completions" / SHELLS[shell]
    return place.read_text(encoding="utf-8")


def shell_of(environ: Mapping[str, str], parent: int) -> str:
    """Return the shell that started us, else a person's login shell; empty where neither is known.

    `parent` is the id of the process that started us.
    """
    try:
        name = Path(f"/proc/{parent}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        name = ""
    return name if name in SHELLS else Path(environ.get("SHELL", "")).name


def install(shell: str, environ: Mapping[str, str]) -> tuple[Path, Path | None]:
    """Put a script in place; return where, and the start-up file that got a line, if one did.

    Raises `UsageError` for an unknown shell, `StorageError` where the disk does not take it.
    """
    text = script_of(shell)
    home = Path(environ.get("HOME") or Path.home())
    place, startup, line = _places(shell, home, environ)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        changed = startup if startup is not None and _add_line(startup, line) else None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise StorageError(f"the completions could not be put in place: {why}") from error
    return place, changed


def _places(shell: str, home: Path, environ: Mapping[str, str]) -> tuple[Path, Path | None, str]:
    """Return where a shell's script goes, and the start-up file and line that it needs, if any."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "fish":
        # https://fishshell.com/docs/current/completions.html#where-to-put-completions (2026-11-30)
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish" / "completions" / "seedream.fish", None, ""
    if shell == "zsh":
        folder = data / "zsh" / "site-functions"
        words = shell_line([str(folder)])
        line = (
            f"fpath=({words} $fpath); (( $+functions[compdef] )) || "
            "{ autoload -Uz compinit; compinit -i }; "
            "autoload -Uz _seedream; compdef _seedream seedream"
        )
        return folder / "_seedream", Path(environ.get("ZDOTDIR") or home) / ".zshrc", line
    # https://github.com/scop/bash-completion#faq (2026-11-30): the user's folder is looked into at
    # the first TAB, where bash-completion is loaded at all.
    own = environ.get("BASH_COMPLETION_USER_DIR")
    folder = Path(own.split(":")[0]) if own else data / "bash-completion"
    place, startup = folder / "completions" / "seedream", home / ".bashrc"
    is_loaded = any(map(_loads_completion, (startup, *_SYSTEM_WIDE)))
    words = shell_line([str(place)])
    return place, None if is_loaded else startup, f"[ -r {words} ] && . {words}"


def _loads_completion(file: Path) -> bool:
    try:
        text = _without_ours(file.read_text("utf-8", "replace"))
    except OSError:
        return False
    return _LOADS_COMPLETION.search(text) is not None


def _without_ours(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if MARK not in line)


def _add_line(file: Path, line: str) -> bool:
    """Add a marked line to a start-up file, in place of an older one; return whether it changed."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    rest = _without_ours(before)
    gap = "" if not rest or rest.endswith("\n") else "\n"
    after = f"{rest}{gap}{line} {MARK}\n"
    # Run again it changes nothing, wherever the line has been moved to.
    if after == before or f"{line} {MARK}\n" in before:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(after, encoding="utf-8")
    return True
