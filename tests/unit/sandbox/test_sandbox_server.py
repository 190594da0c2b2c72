"""The loopback server: counters, faults, and tasks that any process can be asked about."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.sandbox.faults import FAULTS, parse_fault
from seedream_cli.sandbox.messages import Settings
from seedream_cli.sandbox.server import Sandbox
from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

QUICK = Settings(delay=0.0)
SMALL = "1024x1024"
ARK: dict[str, object] = {"model": "doubao-seedream-4-0-20260415", "prompt": "a fox", "size": SMALL}
KIE: dict[str, object] = {
    "model": "bytedance/seedream-v4-text-to-image",
    "input": {"prompt": "a fox", "image_resolution": "1K"},
}
OLDER: dict[str, object] = {"prompt": "a fox"}
UNIALL: dict[str, object] = {
    "model": "seedream-4.0",
    "prompt": "a fox",
    "custom_size": {"width": 1024, "height": 1024},
}
JSON = {"Content-Type": "application/json"}
APP: dict[str, object] = {"prompt": "a fox", "model": "bytedance/seedream-v4", "maxImages": 1}
REPLICATE: dict[str, object] = {
    "input": {"prompt": "a fox", "size": "1K", "aspect_ratio": "1:1"},
}
OPENROUTER: dict[str, object] = {
    "model": "bytedance-seed/seedream-4.5",
    "prompt": "a fox",
    "resolution": "1K",
}
SUBMITS: dict[str, tuple[str, dict[str, object]]] = {
    "ark": ("/ark/api/v3/images/generations", ARK),
    "byteplus": (
        "/byteplus/api/v3/images/generations",
        ARK | {"model": "seedream-4-0-250828"},
    ),
    "kie": ("/kie/api/v1/jobs/createTask", KIE),
    "kie-seedream": ("/kie/api/v1/seedream/generate", OLDER),
    "uniall": ("/uniall/v1/images/generations", UNIALL),
    "seedreams": ("/seedreams/api/generate-image", APP),
    "replicate": ("/replicate/models/bytedance/seedream-4/predictions", REPLICATE),
    "openrouter": ("/openrouter/images", OPENROUTER),
}
INLINE = ("openrouter",)
"""Providers that send the picture in the answer itself."""


class Reply:
    """An answer as it came over the wire."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        """Read it to its end."""
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> dict[str, object]:
        """Return the JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def send(
    sandbox: Sandbox,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> Reply:
    """Send one request on a connection of its own; a body makes it a POST."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    content = json.dumps(body) if body is not None else None
    try:
        connection.request(
            method or ("POST" if content else "GET"),
            path,
            content,
            JSON | ({"Authorization": "Bearer k"} if headers is None else dict(headers)),
        )
        return Reply(connection.getresponse())
    finally:
        connection.close()


def submit(sandbox: Sandbox, provider: str, **headers: str) -> Reply:
    """Buy one picture."""
    path, body = SUBMITS[provider]
    return send(sandbox, path, body, {"Authorization": "Bearer k"} | headers)


def image_of(sandbox: Sandbox, provider: str) -> str:
    """Buy one picture, ask for it where that is needed, and return its path and query."""
    bought = json.loads(submit(sandbox, provider).body)
    match provider:
        case "ark" | "byteplus" | "uniall":
            url = bought["data"][0]["url"]
        case "kie":
            path = f"/kie/api/v1/jobs/recordInfo?taskId={bought['data']['taskId']}"
            record = json.loads(send(sandbox, path).body)["data"]
            url = json.loads(record["resultJson"])["resultUrls"][0]
        case "kie-seedream":
            path = f"/kie/api/v1/seedream/record-info?taskId={bought['data']['taskId']}"
            url = json.loads(send(sandbox, path).body)["imageUrl"]
        case "replicate":
            path = f"/replicate/predictions/{bought['id']}"
            url = json.loads(send(sandbox, path).body)["output"][0]
        case _:
            path = f"/seedreams/api/generate-image?taskId={bought['data']['taskId']}"
            url = json.loads(send(sandbox, path).body)["data"]["resultUrl"]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@pytest.mark.parametrize("provider", [name for name in SUBMITS if name not in INLINE])
def test_every_provider_sells_one_picture_for_one_charge(provider: str) -> None:
    """A whole purchase over a real socket: one charge, one picture, no key at the image host."""
    with Sandbox(settings=QUICK) as sandbox:
        image = send(sandbox, image_of(sandbox, provider), headers={})
        assert image.status == 200
        assert int(image.headers["content-length"]) == len(image.body)
        counters = sandbox.counters
    assert counters["submits"] == {provider: 1}
    assert counters["charged"] == {provider: 1}
    assert (counters["images"], counters["authorised_image_requests"]) == (1, 0)


@pytest.mark.parametrize("provider", [name for name in SUBMITS if name not in INLINE])
def test_equal_purchases_without_a_seed_give_different_pictures(provider: str) -> None:
    """What was bought twice is seen to be two; what is fetched twice is the same bytes."""
    with Sandbox(settings=QUICK) as sandbox:
        first, second = image_of(sandbox, provider), image_of(sandbox, provider)
        pictures = [send(sandbox, url, headers={}).body for url in (first, second, first)]
    assert pictures[0] == pictures[2] != pictures[1]


def test_a_task_is_known_to_a_later_process() -> None:
    """A second server, and a third name for it, know what the first one sold."""
    with Sandbox(settings=QUICK) as first:
        bought = json.loads(submit(first, "kie").body)["data"]["taskId"]
    with Sandbox(settings=QUICK) as second:
        path = f"/kie/api/v1/jobs/recordInfo?taskId={bought}"
        names = {"Authorization": "Bearer k", "Host": "sandbox.seedream.invalid"}
        record = json.loads(send(second, path, headers=names).body)["data"]
        url = urlsplit(json.loads(record["resultJson"])["resultUrls"][0])
        assert url.netloc == "sandbox.seedream.invalid"
        assert send(second, url.path, headers={}).status == 200
        assert second.counters["charged"] == {}


def test_counters_and_log_can_be_read_and_reset_over_http() -> None:
    """Tests of other processes see what was asked and charged, and never a key."""
    with Sandbox(settings=QUICK) as sandbox:
        submit(sandbox, "ark", **{"X-Client-Request-Id": "mine"})
        send(sandbox, image_of(sandbox, "ark"))
        counted = send(sandbox, "/_sandbox/counters").json()
        assert counted == json.loads(json.dumps(sandbox.counters))
        assert counted["authorised_image_requests"] == 1
        charges = counted["charges"]
        assert isinstance(charges, list)
        assert charges[0]["client_request_id"] == "mine"
        assert charges[0]["prompt"] == "a fox"
        log = json.loads(send(sandbox, "/_sandbox/log").body)
        assert [line["method"] for line in log] == ["POST", "POST", "GET"]
        assert log[0]["body"] == ARK
        assert log[0]["has_authorization"] is True
        assert "Bearer" not in json.dumps(log)
        send(sandbox, "/_sandbox/reset", {})
        assert sandbox.counters["submits"] == {}
        assert json.loads(send(sandbox, "/_sandbox/log").body) == []


def test_refusals_are_submits_but_no_charges() -> None:
    """A bad key is counted as asked and not as paid."""
    with Sandbox(settings=QUICK) as sandbox:
        assert submit(sandbox, "ark", Authorization="Bearer wrong").status == 401
        assert (sandbox.counters["submits"], sandbox.counters["charged"]) == ({"ark": 1}, {})


@pytest.mark.parametrize("provider", SUBMITS)
def test_too_many_requests_cost_nothing_and_pass(provider: str) -> None:
    """`429:1` strikes once, with Retry-After, and the next try is served."""
    with Sandbox(settings=QUICK, faults=["429:1"]) as sandbox:
        busy = submit(sandbox, provider)
        assert (busy.status, busy.headers["retry-after"]) == (429, "1")
        assert sandbox.counters["charged"] == {}
        assert submit(sandbox, provider).status in {200, 201}
        assert sandbox.counters["charged"] == {provider: 1}


@pytest.mark.parametrize("provider", SUBMITS)
def test_an_internal_error_and_a_web_page_come_after_the_charge(provider: str) -> None:
    """`500` and `html` leave the client in the dark, while the money is gone."""
    with Sandbox(settings=QUICK, faults=["500:1", "html:1"]) as sandbox:
        assert submit(sandbox, provider).status == 500
        page = submit(sandbox, provider)
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        assert sandbox.counters["charged"] == {provider: 2}


def test_a_dropped_answer_was_charged() -> None:
    """`drop` reads the whole request, charges, and hangs up."""
    with Sandbox(settings=QUICK, faults=["drop"]) as sandbox:
        with pytest.raises(http.client.RemoteDisconnected):
            submit(sandbox, "uniall")
        assert sandbox.counters["charged"] == {"uniall": 1}


@pytest.mark.parametrize("provider", SUBMITS)
def test_content_policy_speaks_in_the_words_of_the_provider(provider: str) -> None:
    """`refuse` is an error at once where the provider has one, else a failed task."""
    with Sandbox(settings=QUICK, faults=["refuse"]) as sandbox:
        reply = submit(sandbox, provider)
        text = reply.body.decode()
        if provider == "seedreams":
            task = json.loads(text)["data"]["taskId"]
            found = send(sandbox, f"/seedreams/api/generate-image?taskId={task}")
            data = json.loads(found.body)["data"]
            assert (data["status"], data["errorCode"]) == ("failed", 1)
        elif provider == "replicate":
            run = send(sandbox, f"/replicate/predictions/{json.loads(text)['id']}").json()
            assert (run["status"], "flagged" in str(run["error"])) == ("failed", True)
        else:
            assert any(word in text for word in ("Sensitive", "content polic", "flagged"))
            assert sandbox.counters["charged"] == {}


def test_a_failed_generation_was_accepted() -> None:
    """`fail` is a 200 with an error on Ark, and a failed job on KIE."""
    with Sandbox(settings=QUICK, faults=["fail"]) as sandbox:
        assert "error" in submit(sandbox, "ark").json()
        task = json.loads(submit(sandbox, "kie").body)["data"]["taskId"]
        record = send(sandbox, f"/kie/api/v1/jobs/recordInfo?taskId={task}")
        assert json.loads(record.body)["data"]["state"] == "fail"
        assert sandbox.counters["charged"] == {"ark": 1, "kie": 1}


def test_slow_never_ends_and_wakes_at_closing() -> None:
    """A synchronous answer that never comes does not hold up the end of the server."""
    sandbox = Sandbox(settings=QUICK, faults=["slow"])
    ended: list[BaseException] = []

    def buy() -> None:
        try:
            submit(sandbox, "ark")
        except (OSError, http.client.HTTPException) as error:
            ended.append(error)

    buyer = threading.Thread(target=buy)
    buyer.start()
    while not sandbox.counters["charged"]:
        time.sleep(0.01)
    sandbox.close()
    buyer.join(timeout=5)
    assert len(ended) == 1


def test_a_lapsed_url_and_half_an_image() -> None:
    """`expire` answers 403; `truncate` announces the whole picture and sends half."""
    with Sandbox(settings=QUICK, faults=["expire:1", "truncate:1"]) as sandbox:
        image = image_of(sandbox, "ark")
        assert send(sandbox, image, headers={}).status == 403
        with pytest.raises(http.client.IncompleteRead) as half:
            send(sandbox, image, headers={})
        whole = send(sandbox, image, headers={})
        assert whole.status == 200
        assert whole.body.startswith(half.value.partial)
        assert len(half.value.partial) == len(whole.body) // 2


def test_a_late_image_is_there_after_a_while() -> None:
    """`late` says 404 from the first look on, for as long as its setting says, and no longer."""
    with Sandbox(settings=replace(QUICK, late=0.4), faults=["late"]) as sandbox:
        image = image_of(sandbox, "ark")
        assert [send(sandbox, image, headers={}).status for _ in range(2)] == [404, 404]
        time.sleep(0.5)
        assert send(sandbox, image, headers={}).status == 200


@pytest.mark.parametrize(
    ("provider", "finding"), [("ark", "it has no end mark"), ("kie", "a checksum is wrong")]
)
def test_an_odd_image_is_whole_and_not_as_its_format_says(provider: str, finding: str) -> None:
    """`odd` sends what its length announces; a closer look finds something, a viewer does not."""
    with Sandbox(settings=QUICK, faults=["odd:1"]) as sandbox:
        image = image_of(sandbox, provider)
        odd, whole = (send(sandbox, image, headers={}) for _ in range(2))
    assert int(odd.headers["content-length"]) == len(odd.body)
    assert (inspect(odd.body).finding, inspect(whole.body).finding) == (finding, None)


def test_a_set_is_streamed_as_it_is_made() -> None:
    """Events arrive one by one over the socket, a delay apart."""
    body = ARK | {
        "stream": True,
        "sequential_image_generation": "auto",
        "sequential_image_generation_options": {"max_images": 2},
    }
    with Sandbox(settings=Settings(delay=0.3)) as sandbox:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
        headers = {"Authorization": "Bearer k"}
        connection.request("POST", SUBMITS["ark"][0], json.dumps(body), headers)
        response = connection.getresponse()
        arrivals = [(time.monotonic(), line) for line in response if line.startswith(b"event:")]
        connection.close()
    assert [line.strip().rpartition(b".")[2] for _, line in arrivals] == [
        b"partial_succeeded",
        b"partial_succeeded",
        b"completed",
    ]
    assert arrivals[1][0] - arrivals[0][0] > 0.2


def test_a_synchronous_answer_takes_its_time() -> None:
    """The delay is spent before the answer."""
    with Sandbox(settings=Settings(delay=0.3)) as sandbox:
        began = time.monotonic()
        submit(sandbox, "uniall")
        assert time.monotonic() - began >= 0.3


def test_the_weather_can_change() -> None:
    """Faults can be set over HTTP while the server runs; a wrong one is refused."""
    with Sandbox(settings=QUICK) as sandbox:
        assert send(sandbox, "/_sandbox/faults", {"faults": ["429"]}).status == 200
        assert submit(sandbox, "ark").status == 429
        assert send(sandbox, "/_sandbox/faults", {"faults": ["rain"]}).status == 400
        assert send(sandbox, "/_sandbox/faults", {"faults": []}).status == 200
        assert submit(sandbox, "ark").status == 200


def test_faults_are_read_as_typed() -> None:
    """`KIND` is for ever, `KIND:TIMES` so often, and anything else is a usage error."""
    assert " ".join(FAULTS) == (
        "429 500 drop slow expire refuse fail truncate cut partial html lost late odd"
    )
    assert parse_fault("429")[1] is None
    assert parse_fault("drop:2")[1] == 2
    for text in ("rain", "429:", "429:-1", "429:x", ""):
        with pytest.raises(UsageError):
            parse_fault(text)


def test_bodies_of_unknown_length_and_strange_paths_are_turned_away() -> None:
    """A length that is none, a body with two lengths, a HEAD, and an unknown path do no harm."""
    with Sandbox(settings=QUICK) as sandbox:
        assert send(sandbox, "/kie/x", headers={"Content-Length": "few"}).status == 411
        both = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
        assert send(sandbox, "/kie/x", headers=both).status == 400
        assert send(sandbox, "/nothing/here").status == 404
        image = image_of(sandbox, "ark")
        head = send(sandbox, image, headers={}, method="HEAD")
        assert (head.status, head.body) == (200, b"")


def converse(sandbox: Sandbox, *pieces: bytes) -> bytes:
    """Send raw bytes and hang up the sending side; return all that comes back."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as wire:
        wire.sendall(b"".join(pieces))
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65536), b""))


CHUNKED = (
    b"POST /ark/api/v3/images/generations HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


def test_a_body_may_come_in_chunks() -> None:
    """Pieces of any size, with extensions and trailers, are one body and one charge."""
    body = json.dumps(ARK).encode()
    whole = b"%x;note=1\r\n%b\r\n" % (len(body) - 7, body[:-7])
    rest = b"%X\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (7, body[-7:])
    with Sandbox(settings=QUICK) as sandbox:
        assert converse(sandbox, CHUNKED, whole, rest).startswith(b"HTTP/1.1 200 ")
        assert sandbox.tally.log()[0]["body"] == ARK
        assert sandbox.counters["charged"] == {"ark": 1}


@pytest.mark.parametrize(
    ("chunks", "answer"),
    [
        (b"zz\r\n", b"HTTP/1.1 400 "),
        (b"ffffffffff\r\n", b"HTTP/1.1 413 "),
        (b"20\r\n{", b""),
        (b"2\r\n{}", b""),
        (b"2\r\n{}\r\n0\r\n", b""),
        (b"2", b""),
    ],
)
def test_broken_chunks_are_no_purchase(chunks: bytes, answer: bytes) -> None:
    """What is no chunk is refused; what broke off gets no answer; neither counts as asked."""
    with Sandbox(settings=QUICK) as sandbox:
        assert converse(sandbox, CHUNKED, chunks)[:13] == answer
        assert sandbox.counters["submits"] == {}


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6: [::1] NOT TRIED")
def test_the_other_loopback_answers_too() -> None:
    """At `[::1]` the same sandbox is found, and its URLs lead back there."""
    with Sandbox(settings=QUICK, has_ipv6=True) as sandbox:
        connection = http.client.HTTPConnection("::1", sandbox.port, timeout=10)
        with closing(connection):
            connection.request(
                "POST", SUBMITS["ark"][0], json.dumps(ARK), {"Authorization": "Bearer k"}
            )
            url = json.loads(connection.getresponse().read())["data"][0]["url"]
            assert url.startswith(f"http://[::1]:{sandbox.port}/images/")
            connection.request("GET", url.removeprefix(f"http://[::1]:{sandbox.port}"))
            assert connection.getresponse().status == 200
        assert sandbox.counters["charged"] == {"ark": 1}


def test_what_was_bought_is_counted_by_picture_and_price() -> None:
    """The counters say how many pictures the bodies asked for, and what lists take for them."""
    bodies: list[tuple[str, dict[str, object], int, str | None]] = [
        ("ark", {"sequential_image_generation": "auto"}, 15, "3.00 CNY"),
        ("ark", {"n": 9}, 1, "0.20 CNY"),
        ("uniall", {"n": 3}, 3, None),
        ("uniall", {"num_images": 2}, 2, None),
        ("kie", {"input": {"prompt": "a fox", "max_images": 4}}, 4, "0.1300 USD"),
        ("seedreams", {"maxImages": None}, 4, None),
        ("seedreams", {"maxImages": 3, "model": "bytedance/seedream-v4.5"}, 1, None),
        ("kie-seedream", {}, 1, "0.0175 USD"),
    ]
    with Sandbox(settings=QUICK) as sandbox:
        for provider, change, _, _ in bodies:
            path, body = SUBMITS[provider]
            assert send(sandbox, path, body | change).status == 200
        counters = sandbox.counters
    charges = counters["charges"]
    assert isinstance(charges, list)
    prices = [
        each["price"] and f"{each['price']['amount']} {each['price']['currency']}"
        for each in charges
    ]
    assert [each["images"] for each in charges] == [images for _, _, images, _ in bodies]
    assert prices == [price for _, _, _, price in bodies]
    bought = {"ark": 16, "uniall": 5, "kie": 4, "seedreams": 5, "kie-seedream": 1}
    assert counters["bought"] == bought
    assert counters["spent"] == {"CNY": "3.20", "USD": "0.1475"}


class Listener(BaseHTTPRequestHandler):
    """Takes callbacks."""

    heard: ClassVar[queue.Queue[tuple[str, object]]] = queue.Queue()

    def do_POST(self) -> None:  # named by http.server
        """Keep path and JSON."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.put((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the parent's name
        """Say nothing."""


def test_callbacks_are_made_on_this_machine_only() -> None:
    """KIE posts the end of a task, good or bad, to a listener on loopback, and to nobody else."""
    with HTTPServer(("127.0.0.1", 0), Listener) as listener, Sandbox(settings=QUICK) as sandbox:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{listener.server_port}/done?job=1"
        tasks = []
        for provider, url in (
            ("kie", "https://your-domain.com/api/callback"),
            ("kie", here),
            ("kie-seedream", here),
        ):
            path, body = SUBMITS[provider]
            accepted = send(sandbox, path, {**body, "callBackUrl": url})
            tasks.append(accepted.json()["data"])
        market, older = (Listener.heard.get(timeout=10) for _ in range(2))
        sandbox.weather.change(["fail"])
        send(sandbox, SUBMITS["kie"][0], {**KIE, "callBackUrl": here})
        failed = Listener.heard.get(timeout=10)
        listener.shutdown()
    # Two threads post: which is first is nobody's promise.
    (path, record), (_, bare) = sorted((market, older), key=lambda one: "code" not in str(one[1]))
    assert path == "/done?job=1"
    assert isinstance(record, dict)
    assert isinstance(bare, dict)
    assert (record["code"], record["data"]["state"]) == (200, "success")
    assert {"taskId": record["data"]["taskId"], "recordId": record["data"]["taskId"]} == tasks[1]
    assert (bare["successFlag"], {"taskId": bare["taskId"]}) == (1, tasks[2])
    assert isinstance(failed[1], dict)
    assert (failed[1]["code"], failed[1]["data"]["state"]) == (501, "fail")
    assert Listener.heard.empty()


def test_half_a_request_is_no_purchase() -> None:
    """A client that dies while it sends was charged nothing."""
    with Sandbox(settings=QUICK) as sandbox:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
        connection.putrequest("POST", SUBMITS["ark"][0])
        connection.putheader("Authorization", "Bearer k")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"model":')
        connection.close()
        assert send(sandbox, "/_sandbox/counters").json()["submits"] == {}
