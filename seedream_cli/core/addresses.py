"""Addresses: which ones a key may go to, and how they are told apart."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from seedream_cli.core.errors import ConfigError

SANDBOX_ORIGIN: Final = "http://sandbox.seedream.invalid"
"""Stands for whichever stand-in is alive; `.invalid` can never resolve (RFC 2606)."""


DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def checked_base_url(value: str, *, where: str) -> str:
    """Return `value` in its normal form, without a trailing slash.

    `where` names it in errors. Raises ConfigError for anything that a key must not be sent to:
    plain http beyond loopback, user names, queries, fragments, hosts that parsers read differently.
    """
    hint = "write it as https://HOST/PATH; http only for 127.0.0.1, [::1] and localhost"
    if re.fullmatch(r"[!-~]+", value) is None or set(value) & set("\\?#@"):
        raise ConfigError(f"{where} is not a plain https address", hint=hint)
    parts = split(value)
    if parts is None or parts.scheme not in DEFAULT_PORTS:
        raise ConfigError(f"{where} is not a plain https address", hint=hint)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigError(f"{where} would send the key unencrypted", hint=hint)
    return origin(value) + parts.path.rstrip("/")


def split(url: str) -> SplitResult | None:
    """Take an address apart; None where its host or port is not one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    is_name = re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?", host) is not None
    if port == 0 or parts.netloc.endswith(":") or not (is_name or _is_ipv6(host)):
        return None
    return parts


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address

    try:
        return ":" in host and IPv6Address(host).scope_id is None
    except ValueError:
        return False


def origin(url: str) -> str:
    """Return `scheme://host[:port]` in lower case, without a port that is the scheme's default.

    Raises ValueError for an address whose host or port is not one.
    """
    parts = split(url)
    if parts is None:
        raise ValueError("this address has no readable host")
    host = parts.hostname or ""
    if ":" in host:
        from ipaddress import IPv6Address

        host = f"[{IPv6Address(host).compressed}]"
    port = parts.port
    is_default = port is None or port == DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def is_loopback(host: str) -> bool:
    """Tell whether `host` (no brackets, no port) can only be this machine."""
    if host.lower() == "localhost":
        return True
    if not re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]+", host):
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
