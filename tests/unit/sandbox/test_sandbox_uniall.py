"""The stand-in for UniAll takes every alias of its page and refuses what the page rules out."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest

from seedream_cli.sandbox.messages import Answer, Fate, HttpRequest, Settings, Stage
from seedream_cli.sandbox.router import answer
from seedream_cli.sandbox.tickets import read_image_name

STAGE = Stage(now=1_795_000_000.0, settings=Settings(delay=4.0))
SQUARE = {"width": 2048, "height": 2048}
A, B = "https://example.com/a.png", "https://example.com/b.png"
EDIT = {"model": "seedream-4.5", "prompt": "at night"}


def post(path: str, body: object, *, key: str = "k", stage: Stage = STAGE) -> Answer:
    """POST JSON to `/v1/images/…`."""
    asked = HttpRequest(
        method="POST",
        path=f"/uniall/v1/images/{path}",
        headers={"authorization": f"Bearer {key}", "host": "h"},
        body=json.dumps(body).encode(),
    )
    return answer(asked, stage)


def urls(reply: Answer) -> list[str]:
    """Return the URLs of an answer."""
    return [str(item["url"]) for item in json.loads(reply.body)["data"]]


@pytest.mark.parametrize(
    ("path", "body", "count", "size"),
    [
        ("generations", {"model": "seedream-4.0", "prompt": "one, and "}, 1, None),
        (
            "generations",
            {"model": "seedream-4.5", "prompt": ", ", "num_images": 6, "custom_size": SQUARE},
            6,
            (2048, 2048),
        ),
        (
            "generations",
            {
                "model": "seedream-5.0-lite",
                "prompt": "16:9, ",
                "n": 2,
                "custom_size": {"width": 2560, "height": 1440},
            },
            2,
            (2560, 1440),
        ),
        (
            "generations",
            {
                "model": "seedream-4.0",
                "prompt": "Landscape, ",
                "custom_size": {"width": 1280, "height": 720},
            },
            1,
            (1280, 720),
        ),
        ("edits", EDIT | {"image": A, "num_images": 1, "custom_size": SQUARE}, 1, (2048, 2048)),
        ("edits", EDIT | {"image_urls": [A, B], "n": 3}, 3, None),
        ("edits", EDIT | {"images": [{"url": A}, {"image_url": B}], "num_images": 2}, 2, None),
    ],
)
def test_the_examples_of_the_page_are_taken(
    path: str, body: dict[str, object], count: int, size: tuple[int, int] | None
) -> None:
    """Each documented request yields its number of pictures in its size."""
    reply = post(path, body)
    assert (reply.status, reply.delay, reply.deed.is_good) == (200, 4.0, True)
    found = urls(reply)
    assert len(set(found)) == count
    picture = read_image_name(urlsplit(found[0]).path.rpartition("/")[2])
    assert picture is not None
    assert size is None or (picture.width, picture.height) == size


def test_all_spellings_of_a_reference_are_one() -> None:
    """A reference gives the same picture however it is written."""
    spellings: list[dict[str, object]] = [
        {"image": A},
        {"image": [A]},
        {"image_url": A},
        {"image_url": {"url": A}},
        {"image_urls": [A]},
        {"images": [A]},
        {"images": [{"url": A}]},
        {"images": [{"image_url": A}]},
    ]
    assert len({tuple(urls(post("edits", EDIT | spelling))) for spelling in spellings}) == 1


def form(*fields: tuple[str, str], path: str = "edits", is_multipart: bool) -> Answer:
    """POST a form, of either kind."""
    kind, body = "application/x-www-form-urlencoded", urlencode(fields)
    if is_multipart:
        kind = "multipart/form-data; boundary=X"
        parts = [
            f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
        ]
        body = "".join(parts) + "--X--\r\n"
    asked = HttpRequest(
        method="POST",
        path=f"/uniall/v1/images/{path}",
        headers={"authorization": "Bearer k", "host": "h", "content-type": kind},
        body=body.encode(),
    )
    return answer(asked, STAGE)


@pytest.mark.parametrize("is_multipart", [False, True])
@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ([("image", A)], {"image": A}),
        ([("image", A), ("image", B)], {"image": [A, B]}),
        ([("image_urls[]", A), ("image_urls[]", B)], {"image_urls": [A, B]}),
        ([("image_urls", A), ("image_urls", B), ("image_urls", A)], {"image_urls": [A, B, A]}),
        ([("image_urls", json.dumps([A, B]))], {"image_urls": [A, B]}),
        ([("image_url", json.dumps({"url": A}))], {"image_url": {"url": A}}),
        ([("images", json.dumps([A, {"image_url": B}]))], {"images": [A, {"image_url": B}]}),
        ([("image", A), ("n", "2")], {"image": A, "n": 2}),
        ([("image", A), ("num_images", "3")], {"image": A, "num_images": 3}),
        ([("image", A), ("custom_size", json.dumps(SQUARE))], {"image": A, "custom_size": SQUARE}),
    ],
)
def test_an_edit_may_come_as_a_form(
    fields: list[tuple[str, str]],
    meant: dict[str, object],
    is_multipart: bool,  # noqa: FBT001 - a cell
) -> None:
    """In a form, a list is a repeated field or JSON text, an object JSON text."""
    asked = [*(("model", "seedream-4.5"), ("prompt", "at night")), *fields]
    reply = form(*asked, is_multipart=is_multipart)
    assert urls(reply) == urls(post("edits", EDIT | meant))


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_urls", "[broken"), ("image", "cat.png"), ("n", "two"), ("custom_size", "2048x2048")],
)
def test_a_form_is_judged_as_json_is(name: str, value: str) -> None:
    """Text that is no list, no URL, no number, no size is refused, and names its field."""
    fields = (("model", "seedream-4.5"), ("prompt", "x"), ("image_url", A), (name, value))
    reply = form(*fields, is_multipart=False)
    assert (reply.status, reply.deed.is_good) == (400, False)
    assert json.loads(reply.body)["error"]["param"] == name


def test_files_are_no_references() -> None:
    """The page rules out passing a file: a part with a file name is refused."""
    body = (
        '--X\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\nPNG\r\n--X--\r\n"
    )
    headers = {"authorization": "Bearer k", "content-type": "multipart/form-data; boundary=X"}
    path = "/uniall/v1/images/edits"
    asked = HttpRequest(method="POST", path=path, headers=headers, body=body.encode())
    reply = answer(asked, STAGE)
    assert (reply.status, json.loads(reply.body)["error"]["param"]) == (400, "image")


@pytest.mark.parametrize(
    ("path", "change", "status", "parameter"),
    [
        ("edits", {}, 400, "image"),
        ("edits", {"image": "cat.png"}, 400, "image"),
        ("edits", {"images": [{"file": A}]}, 400, "images"),
        ("edits", {"image_urls": [A] * 11}, 400, "image"),
        ("edits", {"image_urls": [A] * 10, "n": 6}, 400, "n"),
        ("generations", {"n": 0}, 400, "n"),
        ("generations", {"num_images": 7}, 400, "num_images"),
        ("generations", {"n": "2"}, 400, "n"),
        ("generations", {"custom_size": {"width": 1280, "height": 720}}, 400, "custom_size"),
        ("generations", {"custom_size": {"width": 4097, "height": 2048}}, 400, "custom_size"),
        ("generations", {"custom_size": "2048x2048"}, 400, "custom_size"),
        ("generations", {"timeout_seconds": 0}, 400, "timeout_seconds"),
        ("generations", {"prompt": ""}, 400, "prompt"),
        ("generations", {"model": "seedream-9"}, 404, "model"),
    ],
)
def test_what_the_page_rules_out_is_refused(
    path: str, change: dict[str, object], status: int, parameter: str
) -> None:
    """Limits of references, counts and sizes hold; the error names the field."""
    reply = post(path, EDIT | change)
    assert (reply.status, reply.deed.is_good) == (status, False)
    assert json.loads(reply.body)["error"]["param"] == parameter


@pytest.mark.parametrize(
    ("key", "status", "code"), [("wrong", 401, "invalid_api_key"), ("no-credit", 402, None)]
)
def test_accounts_are_turned_down(key: str, status: int, code: str | None) -> None:
    """A bad key is 401 and an empty account 402."""
    reply = post("generations", EDIT, key=key)
    assert reply.status == status
    assert code is None or json.loads(reply.body)["error"]["code"] == code


def test_ten_references_leave_room_for_five() -> None:
    """Ten references and five outputs are fifteen, which is allowed."""
    assert post("edits", EDIT | {"image_urls": [A] * 10, "n": 5}).status == 200


def test_an_impatient_request_times_out_but_was_charged() -> None:
    """Where `timeout_seconds` is over first, a 504 comes, and the work was done all the same."""
    reply = post("generations", EDIT | {"timeout_seconds": 1})
    assert (reply.status, reply.delay, reply.deed.is_good) == (504, 1.0, True)
    assert post("generations", EDIT | {"timeout_seconds": 4}).status == 200


def test_a_failure_is_told_inside_a_good_answer() -> None:
    """A 200 with an error and no data."""
    reply = post("generations", EDIT, stage=replace(STAGE, fate=Fate.FAILED))
    body = json.loads(reply.body)
    assert reply.status == 200
    assert "data" not in body
    assert body["error"]["code"] == "generation_failed"


def test_models_are_listed() -> None:
    """The free call names the three models."""
    asked = HttpRequest(
        method="GET", path="/uniall/v1/models", headers={"authorization": "Bearer k"}
    )
    listed = [entry["id"] for entry in json.loads(answer(asked, STAGE).body)["data"]]
    assert set(listed) == {"seedream-4.0", "seedream-4.5", "seedream-5.0-lite"}
