"""Addresses: which ones a key may go to, and the proxy and certificates on the way there.

Chosen here and not by httpx, so that loopback never meets a proxy, a mistake is found before
anything is paid for, and no message shows a password.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from seedream_cli.core.addresses import DEFAULT_PORTS, SANDBOX_ORIGIN, is_loopback, split
from seedream_cli.core.errors import ConfigError
from seedream_cli.core.model import Secret
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from ipaddress import IPv4Address, IPv6Address

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_HINT: Final = (
    "write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT (https, socks5 and socks5h"
    " work too; percent-encode what is special in a password)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy and the variable that names it. `url` is a Secret: it may hold a password."""

    url: Secret
    variable: str
    shown: str
    """The address without user and password, for people."""

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.url.reveal()).hostname or ""


def has_package(name: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    from importlib.util import find_spec

    return find_spec(name) is not None


def proxy_for(
    url: str, environ: Mapping[str, str], *, has: Callable[[str], bool] = has_package
) -> Proxy | None:
    """Return the proxy for `url`; None: go directly. Loopback and the sandbox always do.

    Raises ConfigError for a malformed variable, and for SOCKS where its package is missing;
    ValueError where the port of `url` is not a number.

        https://ark…, HTTPS_PROXY=http://p:8080                  that proxy
        the same, NO_PROXY=.volces.com                           none, for all hosts below it
        http://localhost:8765, whatever the variables say        none
    """
    parts = urlsplit(url)
    # A dot at its end says that the name is whole; it is the same host.
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    if _is_always_direct(host) or _is_exempt(parts.scheme, host, port, environ):
        return None
    found = _first_set(environ, f"{parts.scheme}_proxy", "all_proxy")
    return None if found is None else _usable(*found, has)


def check_proxies(
    environ: Mapping[str, str], base_url: str, *, has: Callable[[str], bool] = has_package
) -> None:
    """Raise ConfigError for a proxy variable that would stop us halfway, after paying.

    `NO_PROXY` does not matter here: images come from other hosts than the API.
    """
    if _is_always_direct(urlsplit(base_url).hostname or "") or "*" in _exemptions(environ):
        return
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        found = _first_set(environ, name)
        if found is not None:
            _parse(*found)
    used = _first_set(environ, "https_proxy", "all_proxy")
    if used is not None:
        _usable(*used, has)


def redact(proxy_url: str) -> str:
    """Return a proxy's address with stars for its user and password."""
    # The host stands after the last `@`; what is not a host there may be half a password.
    scheme, mark, rest = proxy_url.rpartition("://")
    user, at, place = rest.rpartition("@")
    address = re.match(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?(?=/?$)", place)
    if address is None or re.fullmatch(r"[A-Za-z0-9]*", scheme) is None:
        return "****"
    return f"{scheme}{mark}{'****@' if user or at else ''}{address[0]}"


def certificates(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of certificates to trust instead of the bundled ones; none: those.

    Each variable may name a file or a folder; SSL_CERT_DIR may name several, with `:` between.
    Raises as `check_certificates` does.
    """
    places = _certificate_places(environ)
    return tuple(dict.fromkeys(file for place in places for file in _find_certificates(*place)))


def check_certificates(environ: Mapping[str, str]) -> None:
    """Raise ConfigError naming the variable that names a place without any certificate.

    A folder of the system's has hundreds of them: they are read when something is asked over TLS.
    """
    for place in _certificate_places(environ):
        next(_find_certificates(*place))


def _certificate_places(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return which variables count, and the files and folders that they name."""
    # OpenSSL reads both of its own variables.
    found = [("SSL_CERT_FILE", environ["SSL_CERT_FILE"])] if environ.get("SSL_CERT_FILE") else []
    folders = [each for each in environ.get("SSL_CERT_DIR", "").split(os.pathsep) if each]
    there = [each for each in folders if Path(each).exists()]
    found += [("SSL_CERT_DIR", each) for each in there or folders]
    others = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return found or [(name, environ[name]) for name in others if environ.get(name)][:1]


def _find_certificates(variable: str, path: str) -> Iterator[str]:
    """Yield the files with certificates that a variable names; raise ConfigError for none."""
    hint, is_found = f"let it name certificates in PEM form, or:\nunset {variable}", False
    try:
        place = Path(path)
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        # A folder holds the same certificate under two names, and perhaps what is none.
        seen = set[Path]()
        for file in files:
            real = file.resolve()
            if real not in seen and (file.is_file() or len(files) == 1):
                if b"-----BEGIN" in file.read_bytes():
                    yield str(real)
                    is_found = True
                seen.add(real)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
        message = f"{variable} names {path}, which cannot be read: {why}"
        raise ConfigError(message, hint=hint) from error
    if not is_found:
        raise ConfigError(f"{variable} names {path}, which holds no certificate", hint=hint)


def _first_set(environ: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    """Find the variable that counts, and its value: lower case wins, even when it is empty."""
    for name in names:
        spellings = [name, name.upper()]
        if name == "http_proxy" and "REQUEST_METHOD" in environ:
            # In a CGI process HTTP_PROXY is a header that a visitor sent (https://httpoxy.org).
            spellings = [name]
        variable = next((spelling for spelling in spellings if spelling in environ), None)
        value = environ[variable].strip() if variable else ""
        if variable and value:
            return variable, value
    return None


def _parse(variable: str, value: str) -> tuple[str, str]:
    """Return scheme and address of a proxy; a bare `host:port` is an http one, as everywhere."""
    parts = split(value if "://" in value else f"http://{value}")
    is_plain = re.search(r"[\x00-\x20\x7f\\?#]", value) is None
    if parts is None or not is_plain or parts.path not in ("", "/"):
        raise ConfigError(f"{variable} is not the address of a proxy", hint=_HINT)
    return parts.scheme, f"{parts.scheme}://{parts.netloc}"


def _usable(variable: str, value: str, has: Callable[[str], bool]) -> Proxy:
    scheme, url = _parse(variable, value)
    if scheme not in _SCHEMES:
        raise ConfigError(f"{variable} names a kind of proxy that is not supported", hint=_HINT)
    if scheme.startswith("socks") and not has("socksio"):
        raise ConfigError(
            f"{variable} names a SOCKS proxy, and the package for that is not installed",
            hint="pip install 'seedream[socks]'",
        )
    return Proxy(url=Secret(url), variable=variable, shown=redact(url))


def _is_always_direct(host: str) -> bool:
    return is_loopback(host) or host == urlsplit(SANDBOX_ORIGIN).hostname


def _exemptions(environ: Mapping[str, str]) -> list[str]:
    found = _first_set(environ, "no_proxy")
    return [] if found is None else [word for word in re.split(r"[,\s]+", found[1].lower()) if word]


def _is_exempt(scheme: str, host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    return any(_covers(rule, scheme, host, port) for rule in _exemptions(environ))


def _covers(rule: str, scheme: str, host: str, port: int | None) -> bool:
    """Tell whether one word of NO_PROXY names this host, with httpx's reading.

    `a.b` is a.b and all below it, `.a.b` only what is below it, `https://a.b` that host only;
    a port narrows it.
    Beyond httpx 0.28, networks (`10.0.0.0/8`) and `*.a.b` mean what they say.
    """
    if rule == "*":
        return True
    rule_scheme, _, place = rule.rpartition("://")
    if rule_scheme not in ("", "all", scheme):
        return False
    network = _network_holds(place, host)
    if network is not None:
        return network
    name, _, rule_port = place.partition(":")
    if place.startswith("["):
        name, _, rule_port = place[1:].partition("]")
        rule_port = rule_port.removeprefix(":")
    if rule_port and rule_port != str(port):
        return False
    if name.startswith(("*.", ".")):
        return host.endswith(name.removeprefix("*"))
    return bool(name) and (host == name or (not rule_scheme and host.endswith(f".{name}")))


def _network_holds(rule: str, host: str) -> bool | None:
    """Compare addresses as numbers; None where `rule` is no address and no network."""
    from ipaddress import ip_network

    try:
        network = ip_network(rule, strict=False)
    except ValueError:
        return None
    address = _address(host)
    return address is not None and address in network


def _address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None
