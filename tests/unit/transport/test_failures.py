"""What is said of a request of which nothing had left."""

from __future__ import annotations

import socket
import ssl

import pytest

from seedream_cli.core.model import Secret
from seedream_cli.transport.failures import explain_unsent
from seedream_cli.transport.proxies import Proxy

PROXY = Proxy(
    url=Secret("http://me:hunter2@proxy.example:3128"),
    variable="https_proxy",
    shown="http://****@proxy.example:3128",
)


def wrapped(cause: Exception) -> Exception:
    """Return an error as an HTTP library raises it: the cause lies below."""
    outer = RuntimeError(str(cause))
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name api.example does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "it refuses the connection at port 80"),
        (TimeoutError("timed out"), "timed out"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_a_host_is_named_with_what_failed(cause: Exception, words: str) -> None:
    """The name, the port that refuses, or the error in its own words; all may pass."""
    error = explain_unsent(wrapped(cause), str(cause), host="api.example", port=80, via=None)
    assert error.message.startswith("api.example cannot be reached: ")
    assert words in error.message
    assert not error.is_final


@pytest.mark.parametrize(
    "cause",
    [
        socket.gaierror(-2, "Name or service not known"),
        ConnectionRefusedError(111, "Connection refused"),
        TimeoutError("timed out"),
    ],
)
def test_a_proxy_is_named_with_its_variable(cause: Exception) -> None:
    """It is the proxy that cannot be reached, and the variable says where to mend it."""
    error = explain_unsent(wrapped(cause), str(cause), host="api.example", port=80, via=PROXY)
    assert error.message.startswith(f"the proxy {PROXY.shown} (https_proxy) cannot be reached: ")
    assert "api.example" not in error.message
    assert "hunter2" not in error.message + error.hint
    assert error.hint.endswith("\nunset https_proxy")


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        (20, "an authority that is not known", "\nexport SSL_CERT_FILE="),
        (19, "an authority that is not known", "\nexport SSL_CERT_FILE="),
        (10, "not valid at this time", "is the clock of this machine right?"),
        (62, "is not accepted", ""),
    ],
)
def test_a_certificate_is_final(code: int, words: str, hint: str) -> None:
    """Asking again mends no certificate; an unknown authority comes with the variable."""
    cause = ssl.SSLCertVerificationError("certificate verify failed")
    cause.verify_code, cause.verify_message = code, "its own words"
    error = explain_unsent(wrapped(cause), str(cause), host="api.example", port=443, via=None)
    assert error.message.startswith("the certificate of api.example")
    assert words in error.message
    assert "its own words" in error.message
    assert hint in error.hint
    assert error.is_final
