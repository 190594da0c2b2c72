"""Addresses that a key may go to, and the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedream_cli.core.addresses import SANDBOX_ORIGIN, check_base_url, is_loopback, origin
from seedream_cli.core.errors import ConfigError
from seedream_cli.transport.proxies import (
    certificates,
    check_certificates,
    check_proxies,
    has_package,
    proxy_for,
    redact,
)

if TYPE_CHECKING:
    from pathlib import Path

API = "https://api.example.com/v1"


def reached(url: str, environ: dict[str, str]) -> str | None:
    """Return the proxy's address for a URL, or None."""
    proxy = proxy_for(url, environ, has=lambda _: True)
    return None if proxy is None else proxy.url.reveal()


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ("https://api.kie.ai", "https://api.kie.ai"),
        ("https://api.kie.ai/", "https://api.kie.ai"),
        ("HTTPS://API.Kie.ai:443/v1//", "https://api.kie.ai/v1"),
        ("https://gate.example:8443/Ark/v3", "https://gate.example:8443/Ark/v3"),
        ("http://127.0.0.1:8787/kie", "http://127.0.0.1:8787/kie"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8787/kie/", "http://[::1]:8787/kie"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]"),
    ],
)
def test_addresses_get_one_form(value: str, becomes: str) -> None:
    """Case, default ports and trailing slashes do not make another address."""
    assert check_base_url(value, where="base_url") == becomes
    assert check_base_url(becomes, where="base_url") == becomes


@pytest.mark.parametrize(
    "value",
    [
        "",
        "api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https:///path",
        "http://api.kie.ai",
        "http://127.0.0.1.example.com",
        "http://127.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://localhost.example.com",
        "https://user:secret@api.kie.ai",
        "https://api.kie.ai@evil.example",
        "https://api.kie.ai\\@evil.example",
        "https://api.kie.ai/?key=secret",
        "https://api.kie.ai?",
        "https://api.kie.ai/#x",
        "https://api.kie.ai:99999",
        "https://api.kie.ai:0",
        "https://api.kie.ai:",
        "https://api.kie.ai:x",
        "https://api.kie .ai",
        "https://api.kie.ai\n",
        "https://[::1",
        "https://[::g]",
        "https://[fe80::1%25eth0]",
        "https://ap\u0131.kie.ai",
        "https://a b",
    ],
)
def test_addresses_that_a_key_must_not_go_to(value: str) -> None:
    """Plain http beyond loopback and all that parsers read differently is refused by name."""
    with pytest.raises(ConfigError, match=r"^profiles\.w: base_url") as caught:
        check_base_url(value, where="profiles.w: base_url")
    assert "secret" not in caught.value.message + caught.value.hint


@given(st.text(alphabet="htps:/[]@.?#%\\ 1a-", max_size=30))
def test_an_accepted_address_is_read_alike_by_the_transport(rest: str) -> None:
    """What is accepted has, for httpx too, the same host, no user and no query."""
    try:
        accepted = check_base_url(f"https://{rest}", where="base_url")
    except ConfigError:
        return
    # Where httpx refuses a host as well, nothing is sent.
    try:
        url = httpx.URL(accepted)
    except httpx.InvalidURL:
        return
    assert accepted.startswith(origin(str(url)))
    assert (url.scheme, url.userinfo, url.query, url.fragment) == ("https", b"", b"", "")


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("https://Api.Example.com/v1?x=1", "https://api.example.com"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1"),
        ("https://a.b:80", "https://a.b:80"),
        (f"{SANDBOX_ORIGIN}/kie", SANDBOX_ORIGIN),
    ],
)
def test_origin_is_scheme_host_and_port(url: str, becomes: str) -> None:
    """An origin leaves out the path and a default port."""
    assert origin(url) == becomes


def test_no_host_has_no_origin() -> None:
    """An address without a host is an error, not an empty origin."""
    with pytest.raises(ValueError, match="no readable host"):
        origin("https://")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.255.0.3", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("128.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - a host to refuse, not one to bind
        ("127.0.0.1.nip.io", False),
        ("::2", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, *, is_local: bool) -> None:
    """Loopback is 127.0.0.0/8, ::1 and localhost, and nothing that looks like them."""
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "http://low:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up:1"}, None),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"all_proxy": "http://all:1", "HTTPS_PROXY": "http://up:1"}, "http://up:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": " proxy.corp:3128 "}, "http://proxy.corp:3128"),
        ({"HTTPS_PROXY": "http://u:p%40w@proxy:3128/"}, "http://u:p%40w@proxy:3128"),
        ({"HTTPS_PROXY": "socks5h://u:p@[::2]:1080"}, "socks5h://u:p@[::2]:1080"),
    ],
)
def test_the_usual_variables_choose_the_proxy(environ: dict[str, str], proxy: str | None) -> None:
    """https_proxy before HTTPS_PROXY before all_proxy, for https."""
    assert reached(API, environ) == proxy


def test_a_visitors_header_is_no_proxy() -> None:
    """In a CGI process HTTP_PROXY is ignored and http_proxy is not."""
    environ = {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1"}
    assert reached("http://a.example/", environ) is None
    assert reached("http://a.example/", {**environ, "http_proxy": "http://p:1"}) == "http://p:1"


@pytest.mark.parametrize(
    ("rules", "host", "is_direct"),
    [
        ("*", "a.example.com", True),
        ("x.org, *", "a.example.com", True),
        ("example.com", "example.com", True),
        ("EXAMPLE.com", "www.example.com", True),
        ("example.com", "notexample.com", False),
        (".example.com", "www.example.com", True),
        (".example.com", "example.com", False),
        ("*.example.com", "www.example.com", True),
        ("a.org,example.com", "example.com", True),
        ("a.org example.com", "example.com", True),
        ("example.com:443", "example.com", True),
        ("example.com:8443", "example.com", False),
        ("https://example.com", "example.com", True),
        ("http://example.com", "example.com", False),
        ("https://example.com", "www.example.com", False),
        ("all://example.com", "example.com", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "example.com", False),
        ("2001:db8::1", "[2001:db8:0::1]", True),
        ("[2001:db8::1]:443", "[2001:db8::1]", True),
        ("[2001:db8::1]:80", "[2001:db8::1]", False),
        ("", "example.com", False),
        (",,", "example.com", False),
    ],
)
def test_no_proxy_exempts_hosts(rules: str, host: str, *, is_direct: bool) -> None:
    """NO_PROXY is read as httpx reads it, and networks and `*.` mean what they say."""
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": rules}
    assert (proxy_for(f"https://{host}/x", environ) is None) is is_direct


PLAIN_RULES = ["example.com", ".example.com", "a.example.com", "10.1.2.3", "https://example.com"]


@given(
    rules=st.lists(st.sampled_from(PLAIN_RULES), max_size=3),
    host=st.sampled_from(["example.com", "a.example.com", "badexample.com", "10.1.2.3"]),
)
def test_no_proxy_agrees_with_httpx(rules: list[str], host: str) -> None:
    """For names, suffixes and addresses the answer is the one that httpx itself gives."""
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ",".join(rules)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY"):
            patch.delenv(name, raising=False)
        patch.delenv("ALL_PROXY", raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        with httpx.Client(verify=False) as client:  # noqa: S501 - loads no certificates; sends nothing
            chosen = client._transport_for_url(httpx.URL(f"https://{host}/"))
            is_direct = chosen is client._transport
    assert (proxy_for(f"https://{host}/", environ) is None) is is_direct


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8787/x", "http://localhost/", "http://[::1]:1/", f"{SANDBOX_ORIGIN}/kie"],
)
def test_loopback_and_the_sandbox_go_directly(url: str) -> None:
    """No variable, however broken, stands between us and this machine."""
    environ = {"HTTP_PROXY": "http://[broken", "ALL_PROXY": "http://127.0.0.1:9"}
    assert proxy_for(url, environ) is None
    check_proxies(environ, url)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "http://user:hunter2@",
        "http://user:hunter2@host:port",
        "http://user:hunter2@host:99999",
        "http://user:hun#ter2@host:80",
        "http://user:hun/ter2@host:80",
        "http://user:hunter2@ho st:80",
        "user:hunter2@[::1:80",
        "http:/hunter2:3128",
        "http://host/hunter2.pac",
        "://hunter2",
        "http://",
    ],
)
def test_malformed_proxies_are_named_without_password(variable: str, value: str) -> None:
    """A variable that is no address stops us before anything is sent, and is not repeated."""
    with pytest.raises(ConfigError, match=f"^{variable} ") as caught:
        check_proxies({variable: value}, API)
    said = caught.value.message + caught.value.hint + str(caught.value.__cause__)
    assert caught.value.exit == 2
    assert "hun" not in said


def test_kinds_of_proxy_that_are_not_spoken() -> None:
    """A scheme that we cannot speak is an error where it would be used, and only there."""
    with pytest.raises(ConfigError, match="ALL_PROXY names a kind of proxy"):
        check_proxies({"ALL_PROXY": "socks://127.0.0.1:1080/"}, API)
    # Desktops set all of them at once; the one that is used is fine.
    environ = {"ALL_PROXY": "socks://127.0.0.1:1080/", "HTTPS_PROXY": "http://127.0.0.1:8080/"}
    check_proxies(environ, API)
    assert reached(API, environ) == "http://127.0.0.1:8080"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_without_its_package_says_what_to_install(scheme: str) -> None:
    """A SOCKS proxy without the extra names the variable and the command."""
    environ = {"all_proxy": f"{scheme}://127.0.0.1:1080"}
    with pytest.raises(ConfigError, match="all_proxy names a SOCKS proxy") as caught:
        check_proxies(environ, API, has=lambda _: False)
    assert caught.value.hint == "pip install 'seedream[socks]'"
    found = proxy_for(API, environ, has=lambda name: name == "socksio")
    assert found is not None
    assert found.variable == "all_proxy"


def test_exempt_api_still_needs_a_good_proxy_for_images() -> None:
    """NO_PROXY for the API does not hide a mistake that would stop the download after paying."""
    environ = {"NO_PROXY": "example.com", "HTTPS_PROXY": "http://["}
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        check_proxies(environ, API)
    check_proxies({**environ, "NO_PROXY": "*"}, API)


def test_packages_are_found_without_importing_them() -> None:
    """A package is looked for by name."""
    assert has_package("json")
    assert not has_package("no_such_package_of_ours")


def test_a_proxy_never_shows_its_password() -> None:
    """Neither the record nor its shown form holds user or password."""
    proxy = proxy_for(API, {"HTTPS_PROXY": "http://bob:hunter2@proxy:3128"})
    assert proxy is not None
    assert proxy.shown == "http://****@proxy:3128"
    assert "hunter2" not in repr(proxy)
    assert "bob" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "proxy:3128"),
        ("socks5://u:p@[::1]:1080/", "socks5://****@[::1]:1080"),
        ("http://u:p@ss@host:1", "http://****@host:1"),
        ("http://u:p#ss/@host:1", "http://****@host:1"),
        ("http://u:p@host:1/p@", "****"),
        ("http://host:1:secret", "****"),
        ("u:secret://host", "****"),
    ],
)
def test_redacted_addresses_keep_the_host(url: str, shown: str) -> None:
    """Everything that may be a password is stars, and in doubt everything is."""
    assert redact(url) == shown


@given(
    secret=st.text(alphabet="ABC@:/#?[]%", min_size=1).filter(lambda text: set(text) & set("ABC"))
)
def test_redaction_holds_for_any_password(secret: str) -> None:
    """Whatever characters a password has, not one of its letters is shown."""
    assert not set(redact(f"http://user:{secret}@proxy:80")) & set("ABC")


def test_certificates_are_named_by_the_usual_variables(tmp_path: Path) -> None:
    """SSL_CERT_FILE goes before REQUESTS_CA_BUNDLE before CURL_CA_BUNDLE; empty is not set."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n")
    environ = {
        "CURL_CA_BUNDLE": str(tmp_path / "c"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "b"),
        "SSL_CERT_FILE": str(tmp_path / "a"),
    }
    assert certificates(environ) == (str(tmp_path / "a"),)
    assert certificates({**environ, "SSL_CERT_FILE": ""}) == (str(tmp_path / "b"),)
    del environ["SSL_CERT_FILE"], environ["REQUESTS_CA_BUNDLE"]
    assert certificates(environ) == (str(tmp_path / "c"),)
    assert certificates({}) == ()


@pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_certificates_may_lie_in_a_folder(tmp_path: Path, variable: str) -> None:
    """Each variable may name a file or a folder; a link to what lies there is not read twice."""
    pem = tmp_path / "ours.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / "4f3a.0").symlink_to(pem)
    assert certificates({variable: str(tmp_path)}) == (str(pem),)
    assert certificates({variable: str(pem)}) == (str(pem),)


def test_both_variables_of_openssl_count(tmp_path: Path) -> None:
    """SSL_CERT_DIR lists folders, of which some may be missing, and adds to SSL_CERT_FILE."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    folders = f"{tmp_path}/missing:{tmp_path}/two"
    environ = {"SSL_CERT_FILE": f"{tmp_path}/one/a.pem", "SSL_CERT_DIR": folders}
    assert certificates(environ) == (f"{tmp_path}/one/a.pem", f"{tmp_path}/two/a.pem")


def test_bad_certificate_files_are_named(tmp_path: Path) -> None:
    """A file that is missing, or a file or folder without a certificate, names its variable."""
    (tmp_path / "empty").write_text("")
    for path in ("missing", ".", "empty", "nul\0"):
        with pytest.raises(ConfigError, match=r"^REQUESTS_CA_BUNDLE names ") as caught:
            certificates({"REQUESTS_CA_BUNDLE": f"{tmp_path}/{path}"})
        with pytest.raises(ConfigError, match=r"^REQUESTS_CA_BUNDLE names "):
            check_certificates({"REQUESTS_CA_BUNDLE": f"{tmp_path}/{path}"})
        assert caught.value.hint.endswith("\nunset REQUESTS_CA_BUNDLE")
