"""Why nothing of a request had left, in words that name what failed and the way on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import Unsent

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from seedream_cli.transport.proxies import Proxy

_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21, 27})
"""No way from the certificate to a known authority (X509_V_ERR_…, OpenSSL's x509_vfy.h)."""
_OUTDATED: Final = frozenset({9, 10})
"""Not valid yet, or not any more."""


def explain_unsent(
    error: Exception, reason: str, *, host: str, port: int | None, via: Proxy | None
) -> Unsent:
    """Return what to raise where a request to `host` broke before a byte of it had left.

    `via` is the proxy, where that and not the host is what could not be reached or did not agree.
    `reason` is the error in its own words. A certificate that is not trusted stays so: it is final.
    """
    import socket
    import ssl

    what = host if via is None else f"the proxy {via.shown} ({via.variable})"
    way = "" if via is None else _way_past(via)
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return _distrust(cause, what)
            case ssl.SSLError():
                return Unsent(
                    f"{what} cannot be reached: no encrypted connection ({reason})",
                    hint=way,
                )
            case socket.gaierror():
                name = host if via is None else via.host
                return Unsent(
                    f"{what} cannot be reached: the name {name} does not resolve ({reason})",
                    hint=way or "is this machine online, and the name right?",
                )
            case ConnectionRefusedError():
                where = f" at port {port}" if via is None and port is not None else ""
                return Unsent(
                    f"{what} cannot be reached: it refuses the connection{where} ({reason})",
                    hint=way,
                )
            case _:
                continue
    if via is None:
        return Unsent(f"{host} cannot be reached: {reason}")
    words = "cannot be reached" if not reason[:3].isdecimal() else f"does not lead to {host}"
    return Unsent(f"{what} {words}: {reason}", hint=_login(via) if reason[:3] == "407" else way)


def _distrust(error: ssl.SSLCertVerificationError, what: str) -> Unsent:
    code, reason = error.verify_code, error.verify_message
    if code in _UNTRUSTED:
        message = f"the certificate of {what} is from an authority that is not known here"
        hint = (
            "where a company's proxy or antivirus looks into connections, name its certificates:\n"
            "export SSL_CERT_FILE=/path/to/authority.pem"
        )
    elif code in _OUTDATED:
        message = f"the certificate of {what} is not valid at this time"
        hint = "is the clock of this machine right?"
    else:
        message, hint = f"the certificate of {what} is not accepted", ""
    return Unsent(f"{message} ({reason})", hint=hint, is_final=True)


def _way_past(proxy: Proxy) -> str:
    return f"is the proxy right? to go without it:\nunset {proxy.variable}"


def _login(proxy: Proxy) -> str:
    return f"it wants a name and a password: http://USER:PASSWORD@HOST:PORT in {proxy.variable}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
