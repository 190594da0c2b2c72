"""Addresses: which ones a key may go to, and how they are told apart."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from seedream_cli.core.errors import ConfigError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

SANDBOX_ORIGIN: Final = "http://sandbox.seedream.invalid"
"""Stands for whichever stand-in is alive; `.invalid` can never resolve (RFC 2606)."""


DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class AddressKind(StrEnum):
    """What kind of network a peer's address belongs to."""

    PUBLIC = "public"
    FAKE = "fake-ip"
    """198.18.0.0/15 (RFC 2544): tools such as Clash and sing-box let every name resolve to it."""
    SHARED = "shared"
    """100.64.0.0/10 (RFC 6598): carriers and overlay networks."""
    PRIVATE = "private"
    """RFC 1918 and fc00::/7 (RFC 4193)."""
    LOOPBACK = "loopback"
    OTHER = "other"
    """Link-local (cloud metadata lives there), multicast, reserved: no picture comes from these."""


_KINDS: Final = (
    ("198.18.0.0/15", AddressKind.FAKE),
    ("100.64.0.0/10", AddressKind.SHARED),
    *((net, AddressKind.PRIVATE) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    ("fc00::/7", AddressKind.PRIVATE),
)
_NAT64: Final = "64:ff9b::/96"
"""The last 32 bits are an IPv4 address (RFC 6052)."""


def kind_of(address: str) -> AddressKind:
    """Tell of which kind an IP address is; one that holds an IPv4 address is of that one's kind.

    >>> kind_of("::ffff:198.18.0.7")
    <AddressKind.FAKE: 'fake-ip'>

    Raises ValueError for what is no address.
    """
    from ipaddress import ip_address, ip_network

    ip = _unwrap(ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return AddressKind.LOOPBACK
    for network, kind in _KINDS:
        if ip in ip_network(network):
            return kind
    # Python calls some of these global.
    is_left = ip.is_multicast or getattr(ip, "is_site_local", False)  # fec0::/10, RFC 3879
    is_public = ip.is_global and not is_left
    return AddressKind.PUBLIC if is_public else AddressKind.OTHER


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    from ipaddress import IPv4Address, ip_network

    if ip.version == 4:  # noqa: PLR2004 - IPv4
        return ip
    if ip in ip_network(_NAT64):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


PLAIN_KINDS: Final = frozenset({AddressKind.PRIVATE, AddressKind.LOOPBACK})
"""Where a key may go unencrypted, if its profile allows that."""


def check_base_url(value: str, *, where: str, is_private_ok: bool = False) -> str:
    """Return `value` in its normal form, without a trailing slash.

    `where` names it in errors. Raises ConfigError for anything that a key must not be sent to:
    plain http beyond loopback, user names, queries, fragments, hosts that parsers read differently.
    With `is_private_ok` plain http may go to private addresses; what a name stands for is looked at
    when it is asked.
    """
    hint = "write it as https://HOST/PATH; http only for 127.0.0.1, [::1] and localhost"
    # Parsers read `\`, `#` and `@` in different ways: a key goes nowhere on a guess.
    if re.fullmatch(r"[!-~]+", value) is None or set(value) & set("\\?#@"):
        raise ConfigError(f"{where} is not a plain https address", hint=hint)
    parts = split(value)
    if parts is None or parts.scheme not in DEFAULT_PORTS:
        raise ConfigError(f"{where} is not a plain https address", hint=hint)
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        if not is_private_ok:
            hint += "; on a private network: allow_http = true"
            raise ConfigError(f"{where} would send the key unencrypted", hint=hint)
        if literal_kind(host) not in {None, *PLAIN_KINDS}:
            raise ConfigError(f"{where} is no private address: allow_http is for these", hint=hint)
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

        HTTPS://API.kie.ai:443/v1      https://api.kie.ai
        http://[0:0:0:0:0:0:0:1]:80    http://[::1]
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


def is_at(url: str, base: str) -> bool:
    """Tell whether an address is of the origin of `base`; what is no address is nowhere."""
    return split(url) is not None and origin(url) == origin(base)


def literal_kind(host: str) -> AddressKind | None:
    """Tell of which kind a host is that is written as an address; None for a name.

    10.0.0.7         private
    0x7f.1           other: some resolvers read it as 127.0.0.1
    ark.example      None: a name
    """
    try:
        return kind_of(host)
    except ValueError:
        # What some resolvers read as an address (`0x7f.1`, `2130706433`) is no name.
        is_number = re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", host)
        return AddressKind.OTHER if is_number else None


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
