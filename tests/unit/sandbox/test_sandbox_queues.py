"""The stand-ins for fal and WaveSpeed: queues, uploads, and lists of what was asked lately."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest

from seedream_cli.sandbox.messages import (
    Answer,
    Fate,
    HttpRequest,
    Settings,
    Stage,
    SubmitRecord,
    Where,
)
from seedream_cli.sandbox.router import answer
from seedream_cli.sandbox.tickets import read_image_name

NOW = 1_790_000_000.0
FAL = "/fal/fal-ai/bytedance/seedream/v4.5"
WAVE = "/wavespeed/bytedance/seedream-v4.5"
PRO = "/wavespeed/bytedance/seedream-v5.0-pro"
A = "https://example.com/a.png"
BY_ENDPOINT = "/fal/models/requests/by-endpoint"


@dataclass
class House:
    """A stand-in without a socket, that remembers what it accepted."""

    now: float = NOW
    fate: Fate = Fate.MADE
    records: list[SubmitRecord] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: object = None, *, key: str = "k", **query: str
    ) -> Answer:
        """Ask, and remember what was bought."""
        scheme = "Key" if path.startswith("/fal") else "Bearer"
        asked = HttpRequest(
            method=method,
            path=path,
            query=query,
            headers={"authorization": f"{scheme} {key}"} if key else {},
            body=json.dumps(body).encode() if body is not None else b"",
            nonce=len(self.records),
        )
        stage = Stage(
            now=self.now,
            settings=Settings(delay=10.0, list_delay=3.0),
            fate=self.fate,
            records=self.records,
        )
        reply = answer(asked, stage)
        if reply.deed.where is Where.SUBMIT and reply.deed.is_good:
            record = SubmitRecord(
                provider=reply.deed.provider,
                task=reply.deed.task,
                key=asked.account,
                at=self.now,
                body=asked.json() or {},
            )
            self.records.append(record)
        return reply

    def told(self, method: str, path: str, body: object = None, **more: str) -> dict[str, object]:
        """Return the JSON that was answered."""
        said = json.loads(self.ask(method, path, body, **more).body)
        assert isinstance(said, dict)
        return said

    def later(self, seconds: float) -> House:
        """Let time go by."""
        self.now += seconds
        return self


@pytest.fixture
def house() -> House:
    """Return a stand-in."""
    return House()


def place(url: object) -> str:
    """Return the path of an address that was handed out."""
    return urlsplit(str(url)).path


def sizes(images: list[dict[str, object]]) -> list[str]:
    """Return the sizes of pictures, by their addresses."""
    found = [read_image_name(place(image["url"]).rpartition("/")[2]) for image in images]
    return [f"{one.width}x{one.height}" for one in found if one]


def test_a_request_goes_through_fals_queue(house: House) -> None:
    """In queue, in progress, completed; the result is another question, early only an error."""
    body = {"prompt": "a fox", "image_size": {"width": 2848, "height": 1600}, "num_images": 2}
    bought = house.told("POST", f"{FAL}/text-to-image", body)
    assert bought["status"] == "IN_QUEUE"
    status, result = place(bought["status_url"]), place(bought["response_url"])
    assert result == f"/fal/fal-ai/bytedance/requests/{bought['request_id']}"
    assert house.ask("GET", status).status == 202
    assert house.ask("GET", result).status == 400
    assert house.later(5).told("GET", status)["status"] == "IN_PROGRESS"
    assert house.later(5).told("GET", status)["status"] == "COMPLETED"
    images = house.told("GET", result)["images"]
    assert isinstance(images, list)
    assert sizes(images) == ["2848x1600"] * 2
    assert house.told("GET", f"{result}/response")["images"] == images


def test_a_request_of_fal_may_bill_runs_times_sets(house: House) -> None:
    """Of 2 runs of at most 3 pictures come 6."""
    body = {"prompt": "a fox", "num_images": 2, "max_images": 3}
    bought = house.told("POST", f"{FAL}/text-to-image", body)
    images = house.later(10).told("GET", place(bought["response_url"]))["images"]
    assert isinstance(images, list)
    assert len(images) == 6


@pytest.mark.parametrize(("fate", "status"), [(Fate.FAILED, 500), (Fate.REFUSED, 422)])
def test_a_failed_request_of_fal_is_completed(house: House, fate: Fate, status: int) -> None:
    """The queue says COMPLETED also of what failed; the result says how."""
    house.fate = fate
    bought = house.told("POST", f"{FAL}/text-to-image", {"prompt": "a fox"})
    state = house.later(10).told("GET", place(bought["status_url"]))
    assert state["status"] == "COMPLETED"
    assert ("error" in state) is (fate is Fate.FAILED)
    assert house.ask("GET", place(bought["response_url"])).status == status


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{FAL}/text-to-image", {}, 422),
        (f"{FAL}/text-to-image", {"prompt": "x", "num_images": 7}, 422),
        (f"{FAL}/text-to-image", {"prompt": "x", "image_size": {"width": 9, "height": 9}}, 422),
        (f"{FAL}/edit", {"prompt": "x"}, 422),
        (f"{FAL}/edit", {"prompt": "x", "image_urls": [A] * 10, "max_images": 6}, 422),
        ("/fal/fal-ai/bytedance/seedream/v5/pro/edit", {"prompt": "x"}, 404),
        (WAVE, {}, 400),
        (WAVE, {"prompt": "x", "size": "2048x2048"}, 400),
        (WAVE, {"prompt": "x", "size": "64*64"}, 400),
        (PRO, {"prompt": "x", "resolution": "2K"}, 400),
        (PRO, {"prompt": "x", "aspect_ratio": "7:5"}, 400),
        (f"{PRO}/edit", {"prompt": "x"}, 400),
        (f"{WAVE}/sequential", {"prompt": "x", "max_images": 16}, 400),
        (f"{WAVE}/nothing", {"prompt": "x"}, 404),
    ],
)
def test_what_the_real_ones_refuse_is_refused(
    house: House, path: str, body: object, status: int
) -> None:
    """Bad fields and unknown models are turned down before any work, and cost nothing."""
    reply = house.ask("POST", path, body)
    assert reply.status == status
    assert not reply.deed.is_good


def test_lite_is_scaled_in_silence(house: House) -> None:
    """5.0 lite makes another size of one that is too small, without a word."""
    body = {"prompt": "x", "image_size": {"width": 1024, "height": 1024}}
    bought = house.told("POST", "/fal/bytedance/seedream/v5/lite/text-to-image", body)
    images = house.later(10).told("GET", place(bought["response_url"]))["images"]
    assert isinstance(images, list)
    assert sizes(images) == ["1920x1920"]


@pytest.mark.parametrize("path", [f"{FAL}/text-to-image", WAVE])
def test_accounts_are_turned_down(house: House, path: str) -> None:
    """A bad key is 401 everywhere; an empty account 403 at fal and 402 at WaveSpeed."""
    body = {"prompt": "x"}
    wrong = house.ask("POST", path, body, key="wrong")
    empty = house.ask("POST", path, body, key="no-credit")
    assert (wrong.status, empty.status) == (401, 403 if path.startswith("/fal") else 402)
    assert not wrong.deed.is_good
    assert not empty.deed.is_good


def test_fal_knows_no_bearer(house: House) -> None:
    """The key of fal goes by a scheme of its own."""
    headers = {"authorization": "Bearer k"}
    asked = HttpRequest(method="POST", path=f"{FAL}/text-to-image", headers=headers, body=b"{}")
    assert answer(asked, Stage(now=house.now)).status == 401


def test_bytes_are_put_without_the_key(house: House) -> None:
    """Both name a place for a file first, and take the file there only from who shows no key."""
    asked = {"file_name": "a.png", "content_type": "image/png", "filename": "a.png"}
    first = house.told("POST", "/fal/storage/upload/initiate", asked)
    second = house.told("POST", "/wavespeed/media/uploads", asked)["data"]
    assert isinstance(second, dict)
    for url in (first["upload_url"], second["upload"]["url"]):
        assert house.ask("PUT", place(url), {}, key="k").status == 400
        put = house.ask("PUT", place(url), {}, key="")
        assert (put.status, put.deed.where, put.deed.is_good) == (200, Where.UPLOAD, True)


def test_wavespeed_goes_from_created_to_completed(house: House) -> None:
    """The envelope holds the state of a task, and at the end its pictures."""
    bought = house.told("POST", f"{WAVE}/sequential", {"prompt": "x", "max_images": 3})["data"]
    assert isinstance(bought, dict)
    assert (bought["status"], bought["outputs"]) == ("created", [])
    task = place(bought["urls"]["get"])
    for wait, word, count in ((1, "processing", 0), (9, "completed", 3)):
        data = house.later(wait).told("GET", task)["data"]
        assert isinstance(data, dict)
        assert (data["status"], len(data["outputs"])) == (word, count)
    assert house.ask("GET", "/wavespeed/predictions/nothing/result").status == 404


def predictions(house: House, **query: object) -> list[dict[str, object]]:
    """Return a page of WaveSpeed's tasks."""
    body = {"page": 1, "page_size": 100} | query
    data = house.told("POST", "/wavespeed/predictions", body)["data"]
    assert isinstance(data, dict)
    items = data["items"]
    assert isinstance(items, list)
    return items


def test_wavespeed_lists_what_it_accepted_a_little_late(house: House) -> None:
    """A task shows after a delay, while it runs, with what was sent; newest first, in pages."""
    for prompt in ("one", "two", "three"):
        house.ask("POST", WAVE, {"prompt": prompt})
        house.later(1)
    assert [item["inputs"] for item in predictions(house)] == [{"prompt": "one"}]
    house.later(2)
    found = predictions(house)
    assert [item["inputs"]["prompt"] for item in found] == ["three", "two", "one"]  # type: ignore[index]
    assert {item["status"] for item in found} == {"processing"}
    assert [len(predictions(house, page=page, page_size=2)) for page in (1, 2, 3)] == [2, 1, 0]
    assert predictions(house, created_after=found[0]["created_at"]) == found[:1]
    assert predictions(house, model="bytedance/seedream-v4") == []
    assert predictions(house, status="completed") == []
    assert len(predictions(house.later(100), status="completed")) == 3
    assert predictions(house.later(8 * 86_400)) == []


def test_wavespeed_lists_charges_and_refunds(house: House) -> None:
    """Each accepted task is a deduct; one that failed is a refund, too."""
    house.ask("POST", WAVE, {"prompt": "one"})
    house.fate = Fate.FAILED
    house.ask("POST", WAVE, {"prompt": "two"})
    house.later(20)
    ids = [record.task for record in house.records]
    body = {"page": 1, "page_size": 10}
    data = house.told("POST", "/wavespeed/billings/search", body)["data"]
    assert isinstance(data, dict)
    rows = [(row["billing_type"], row["prediction"]["uuid"], row["price"]) for row in data["items"]]
    assert rows == [("refund", ids[1], 0.04), ("deduct", ids[1], 0.04), ("deduct", ids[0], 0.04)]
    wanted = body | {"billing_type": "deduct", "prediction_uuids": [ids[0]]}
    data = house.told("POST", "/wavespeed/billings/search", wanted)["data"]
    assert isinstance(data, dict)
    assert len(data["items"]) == 1


def requests(house: House, **query: str) -> dict[str, object]:
    """Return a page of fal's requests."""
    model = f"{FAL.removeprefix('/fal/')}/text-to-image"
    return house.told("GET", BY_ENDPOINT, None, **({"endpoint_id": model} | query))


def items_of(page: dict[str, object]) -> list[dict[str, object]]:
    """Return what stands on a page."""
    items = page["items"]
    assert isinstance(items, list)
    return items


def test_fal_lists_what_has_ended(house: House) -> None:
    """What runs is hidden; then it shows, with its payloads where they are asked for, in pages."""
    for number in range(3):
        house.ask("POST", f"{FAL}/text-to-image", {"prompt": f"fox {number}"})
        house.later(1)
    assert requests(house.later(5))["items"] == []
    page = requests(house.later(3), expand="payloads", limit="2")
    assert [item["json_input"] for item in items_of(page)] == [
        {"prompt": "fox 1"},
        {"prompt": "fox 0"},
    ]
    house.later(1)
    page = requests(house, expand="payloads", limit="2")
    assert (page["has_more"], page["next_cursor"]) == (True, "2")
    rest = requests(house, limit="2", cursor="2")
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    (last,) = items_of(rest)
    assert last["request_id"] == house.records[0].task
    assert "json_input" not in last
    assert requests(house, request_id=house.records[1].task)["items"] != []
    assert requests(house, status="error")["items"] == []
    assert requests(house, endpoint_id="fal-ai/bytedance/seedream/v4/edit")["items"] == []
    assert requests(house, end="2020-01-01T00:00:00Z")["items"] == []
    assert requests(house.later(90_000))["items"] == []
    assert requests(house, start="2020-01-01T00:00:00Z")["items"] != []


@pytest.mark.parametrize("status", ["error", "user_error"])
def test_fal_lists_failures_by_their_kind(house: House, status: str) -> None:
    """A failure of fal's own is an error, a refused prompt the caller's."""
    house.fate = Fate.FAILED if status == "error" else Fate.REFUSED
    house.ask("POST", f"{FAL}/text-to-image", {"prompt": "x"})
    (item,) = items_of(requests(house.later(20), status=status))
    assert item["status_code"] == (500 if status == "error" else 422)


def test_lists_are_of_one_account(house: House) -> None:
    """Another key is another account: its list is empty."""
    house.ask("POST", WAVE, {"prompt": "x"})
    house.ask("POST", f"{FAL}/text-to-image", {"prompt": "x"})
    house.records = [replace(record, key="another's") for record in house.records]
    house.later(20)
    assert predictions(house) == []
    assert requests(house)["items"] == []


@pytest.mark.parametrize("body", [{}, {"page": 0, "page_size": 10}, {"page": 1, "page_size": 101}])
def test_a_list_wants_to_know_its_page(house: House, body: dict[str, object]) -> None:
    """Page and length have to be said, and within bounds."""
    assert house.ask("POST", "/wavespeed/predictions", body).status == 400


def test_a_bad_time_is_refused(house: House) -> None:
    """What is no time is a mistake of who asks."""
    body = {"page": 1, "page_size": 1, "created_after": "yesterday"}
    house.ask("POST", WAVE, {"prompt": "x"})
    house.later(20)
    assert house.ask("POST", "/wavespeed/predictions", body).status == 400
    model = f"{FAL.removeprefix('/fal/')}/text-to-image"
    assert house.ask("GET", BY_ENDPOINT, None, endpoint_id=model, start="soon").status == 422


def test_layers_are_answered_as_each_does(house: House) -> None:
    """One list and a base apart at fal, one list of addresses at WaveSpeed; four pictures each."""
    bought = house.told("POST", "/fal/bytedance/seedream/v5/pro/layerize", {"image_url": A})
    task = house.told("POST", f"{PRO}/layer-decomposition", {"image": A})["data"]
    assert isinstance(task, dict)
    said = house.later(10).told("GET", place(bought["response_url"]))
    assert (len(said["images"]), len(said["layers"])) == (1, 3)  # type: ignore[arg-type]
    data = house.told("GET", place(task["urls"]["get"]))["data"]
    assert isinstance(data, dict)
    assert len(data["outputs"]) == 4
