"""The stand-ins that are polled, KIE and seedreams.app, keep to their documents."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from seedream_cli.sandbox.messages import Answer, Fate, HttpRequest, Settings, Stage, Where
from seedream_cli.sandbox.router import answer
from seedream_cli.sandbox.tickets import read_image_name

NOW = 1_795_000_000.0
STAGE = Stage(now=NOW, settings=Settings(delay=10.0))
CREATE = "/kie/api/v1/jobs/createTask"
RECORD = "/kie/api/v1/jobs/recordInfo"
OLDER = "/kie/api/v1/seedream/generate"
OLDER_RECORD = "/kie/api/v1/seedream/record-info"
APP = "/seedreams/api/generate-image"
INPUT = {"prompt": "a cafe", "aspect_ratio": "1:1", "quality": "basic"}
KIE_EXAMPLE = {
    "model": "seedream/4.5-text-to-image",
    "callBackUrl": "https://your-domain.com/api/callback",
    "input": INPUT,
}
OLDER_EXAMPLE = {
    "prompt": "A serene misty mountain landscape at sunrise with cherry blossoms",
    "image_size": "landscape_16_9",
    "image_resolution": "2K",
    "num_inference_steps": 30,
    "guidance_scale": 7.5,
}
APP_EXAMPLE = {
    "prompt": "A serene mountain landscape at sunset with vivid colors",
    "model": "seedream/5-lite-text-to-image",
    "ratio": "16:9",
    "quality": "high",
}


def post(
    path: str,
    body: object,
    *,
    key: str = "k",
    stage: Stage = STAGE,
    kind: str = "application/json",
) -> Answer:
    """POST JSON."""
    headers = {"authorization": f"Bearer {key}", "host": "h", "content-type": kind}
    body = json.dumps(body).encode()
    return answer(HttpRequest(method="POST", path=path, headers=headers, body=body), stage)


def get(path: str, task: str = "", *, later: float = 0.0, key: str = "k") -> Answer:
    """GET, `later` seconds after the submit."""
    headers = {"authorization": f"Bearer {key}", "host": "h"}
    asked = HttpRequest(
        method="GET", path=path, query={"taskId": task} if task else {}, headers=headers
    )
    return answer(asked, replace(STAGE, now=NOW + later))


def envelope(reply: Answer) -> tuple[int, str]:
    """Return code and text of KIE's envelope, or seedreams.app's."""
    body = json.loads(reply.body)
    return body["code"], body.get("msg", body.get("message"))


def task_of(path: str, body: object, stage: Stage = STAGE) -> str:
    """Submit and return the task id."""
    return str(json.loads(post(path, body, stage=stage).body)["data"]["taskId"])


def told(path: str, task: str, later: float) -> dict[str, object]:
    """Return what is told of a task `later` seconds after the submit."""
    data = json.loads(get(path, task, later=later).body)["data"]
    assert isinstance(data, dict)
    return data


def sizes(urls: list[str]) -> list[str]:
    """Return the sizes of the pictures at `urls`."""
    found = [read_image_name(urlsplit(url).path.rpartition("/")[2]) for url in urls]
    return [f"{one.width}x{one.height}" for one in found if one]


def results(data: dict[str, object]) -> list[str]:
    """Return the URLs in a record of KIE's market."""
    return [str(url) for url in json.loads(str(data["resultJson"]))["resultUrls"]]


def test_a_job_waits_generates_and_succeeds() -> None:
    """The example of the page goes through KIE's states and ends with a picture."""
    body = json.loads(post(CREATE, KIE_EXAMPLE).body)
    task = body["data"]["taskId"]
    assert (body["code"], body["msg"], body["data"]["recordId"]) == (200, "success", task)
    assert task.startswith("task_seedream_")
    assert told(RECORD, task, 0.5)["state"] == "waiting"
    running = told(RECORD, task, 5.0)
    assert (running["state"], running["resultJson"]) == ("generating", "")
    assert (running["failCode"], running["costTime"], running["completeTime"]) == (None,) * 3
    done = told(RECORD, task, 10.0)
    assert (done["state"], done["costTime"], done["creditsConsumed"]) == ("success", 10, 6.5)
    assert sizes(results(done)) == ["2048x2048"]
    assert results(done) == results(told(RECORD, task, 500.0))


def test_param_is_encoded_twice_and_echoes_inputs() -> None:
    """A client that collects URLs from everywhere would take an input for a result."""
    given = INPUT | {"image_urls": ["https://a.example/1.png", "https://a.example/2.png"]}
    task = task_of(CREATE, {"model": "seedream/4.5-edit", "input": given})
    inner = json.loads(json.loads(str(told(RECORD, task, 10)["param"]))["input"])
    assert len(inner["image_urls"]) == 2


def test_a_failed_job_says_so_and_an_endless_one_never_ends() -> None:
    """The two bad fates of an accepted job are told by polling."""
    failed = told(RECORD, task_of(CREATE, KIE_EXAMPLE, replace(STAGE, fate=Fate.FAILED)), 10)
    assert (failed["state"], failed["failCode"], failed["resultJson"]) == ("fail", "501", "")
    endless = task_of(CREATE, KIE_EXAMPLE, replace(STAGE, fate=Fate.ENDLESS))
    assert told(RECORD, endless, 1e6)["state"] == "generating"


def test_unknown_tasks_are_told_as_documented() -> None:
    """Each endpoint has its own way to know nothing."""
    assert envelope(get(RECORD, "task_seedream_x")) == (422, "recordInfo is null")
    assert envelope(get(RECORD)) == (400, "taskId parameter is required")
    assert json.loads(get(OLDER_RECORD, "seedream_task_xyz789").body)["data"] is None
    assert envelope(get(APP, "task_abc123def456"))[0] == -1
    assert envelope(get(OLDER_RECORD, task_of(CREATE, KIE_EXAMPLE)))[0] == 200


@pytest.mark.parametrize(
    ("path", "body"), [(CREATE, KIE_EXAMPLE), (OLDER, OLDER_EXAMPLE), (APP, APP_EXAMPLE)]
)
def test_accounts_are_turned_down_with_http_200(path: str, body: object) -> None:
    """Bad keys and empty accounts are told in the body only, and cost nothing."""
    app = path == APP
    wrong, empty = post(path, body, key="wrong"), post(path, body, key="no-credit")
    assert (wrong.status, empty.status) == (200, 200)
    assert envelope(wrong) == (
        (-1, "login_required") if app else (401, "You do not have access permissions")
    )
    assert envelope(empty)[0] == (-1 if app else 402)
    assert not wrong.deed.is_good
    assert not empty.deed.is_good
    if app:
        assert envelope(empty)[1] == "my_credits.no_credits_description"


@pytest.mark.parametrize(
    ("model", "change"),
    [
        ("", {}),
        ("seedream/6", {}),
        ("seedream/4.5-text-to-image", {"prompt": ""}),
        ("seedream/4.5-text-to-image", {"prompt": "x" * 3001}),
        ("seedream/4.5-text-to-image", {"aspect_ratio": "5:4"}),
        ("seedream/4.5-text-to-image", {"aspect_ratio": None}),
        ("seedream/4.5-text-to-image", {"quality": "ultra"}),
        ("seedream/4.5-text-to-image", {"quality": None}),
        ("seedream/4.5-edit", {}),
        ("seedream/4.5-edit", {"image_urls": "https://a.example/1.png"}),
        ("seedream/4.5-edit", {"image_urls": ["data:image/png;base64,AAAA"]}),
        ("seedream/4.5-edit", {"image_urls": ["https://a.example/1.png"] * 15}),
        ("seedream/5-lite-text-to-image", {"prompt": "ab"}),
        ("seedream/5-pro-text-to-image", {"quality": "ultra"}),
        ("seedream/5-pro-text-to-image", {"output_format": "webp"}),
        ("seedream/5-flash-text-to-image", {"size": "4K"}),
        ("seedream/5-pro-layer-decomposition", {}),
        ("bytedance/seedream-v4-text-to-image", {"image_size": "16:9"}),
        ("bytedance/seedream-v4-text-to-image", {"image_resolution": "3K"}),
        ("bytedance/seedream-v4-text-to-image", {"max_images": 7}),
        ("bytedance/seedream-v4-text-to-image", {"seed": "7"}),
        ("bytedance/seedream", {"image_size": "landscape_21_9"}),
        ("bytedance/seedream", {"guidance_scale": 11}),
    ],
)
def test_the_market_validates_its_inputs(model: str, change: dict[str, object]) -> None:
    """What a model does not take is 422 in a body of HTTP 200, and costs nothing."""
    reply = post(CREATE, {"model": model, "input": INPUT | change})
    assert (reply.status, envelope(reply)[0], reply.deed.is_good) == (200, 422, False)


@pytest.mark.parametrize(
    ("model", "change", "wanted"),
    [
        ("seedream/4.5-text-to-image", {"quality": "high", "aspect_ratio": "16:9"}, "5504x3040"),
        ("seedream/5-lite-text-to-image", {"quality": "high"}, "3072x3072"),
        ("seedream/5-lite-text-to-image", {"quality": "ultra"}, "4096x4096"),
        ("seedream/5-pro-text-to-image", {"quality": "basic"}, "1024x1024"),
        ("seedream/5-flash-text-to-image", {"size": "1.5K"}, "1536x1536"),
        ("seedream/5-flash-text-to-image", {}, "1024x1024"),
        ("bytedance/seedream-v4-text-to-image", {"image_resolution": "2K"}, "2048x2048"),
        ("bytedance/seedream-v4-text-to-image", {"image_size": "landscape_3_2"}, "1248x832"),
        ("bytedance/seedream", {"image_size": "square"}, "1024x1024"),
        ("google/nano-banana", {"output_format": "png", "image_size": "auto"}, "1024x1024"),
    ],
)
def test_words_become_the_pixels_of_the_model(
    model: str, change: dict[str, object], wanted: str
) -> None:
    """Quality words mean other sizes on other models; foreign models take any input."""
    task = task_of(CREATE, {"model": model, "input": INPUT | change})
    assert sizes(results(told(RECORD, task, 10))) == [wanted]


def test_v4_makes_as_many_pictures_as_it_may() -> None:
    """`max_images` different pictures come in one job, each charged."""
    given = {"prompt": "three foxes", "max_images": 3}
    task = task_of(CREATE, {"model": "bytedance/seedream-v4-text-to-image", "input": given})
    assert len(set(results(told(RECORD, task, 10)))) == 3


def test_a_fresh_url_replaces_one_that_lapsed() -> None:
    """Results live 14 days; `download-url` gives 20 minutes more, for KIE's own files only."""
    url = results(told(RECORD, task_of(CREATE, KIE_EXAMPLE), 10))[0]
    fetch = HttpRequest(method="GET", path=urlsplit(url).path)
    late = replace(STAGE, now=NOW + 14 * 86_400)
    assert answer(fetch, STAGE).status == 200
    assert answer(fetch, late).status == 403
    renewed = json.loads(post("/kie/api/v1/common/download-url", {"url": url}, stage=late).body)[
        "data"
    ]
    again = HttpRequest(method="GET", path=urlsplit(renewed).path)
    assert answer(again, late).body == answer(fetch, STAGE).body
    assert answer(again, replace(late, now=late.now + 1200)).status == 403
    foreign = post("/kie/api/v1/common/download-url", {"url": "https://a.example/x.png"})
    assert envelope(foreign) == (422, "url is wrong")


def test_credit_is_a_number() -> None:
    """The free call tells a fractional number of credits, and proves the key."""
    assert json.loads(get("/kie/api/v1/chat/credit").body)["data"] == 5916.25
    assert envelope(get("/kie/api/v1/chat/credit", key="wrong"))[0] == 401


def test_an_upload_answers_with_a_url_that_holds_the_digest() -> None:
    """A streamed and an encoded upload of the same bytes get the same URL; nothing is kept."""
    form = (
        b'--B\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\nimages\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\r\n--\x00\r\n--B--\r\n"
    )
    asked = HttpRequest(
        method="POST",
        path="/kie/api/file-stream-upload",
        headers={
            "authorization": "Bearer k",
            "content-type": "multipart/form-data; boundary=B",
            "host": "h",
        },
        body=form,
    )
    streamed = json.loads(answer(asked, STAGE).body)
    assert (streamed["success"], streamed["code"]) == (True, 200)
    assert streamed["data"]["mimeType"] == "image/png"
    assert streamed["data"]["fileSize"] == 11
    encoded = {
        "base64Data": "data:image/png;base64,iVBORw0KDQotLQA=",
        "uploadPath": "images",
        "fileName": "a.png",
    }
    based = json.loads(post("/kie/api/file-base64-upload", encoded).body)
    assert based["data"]["downloadUrl"] == streamed["data"]["downloadUrl"]
    assert envelope(post("/kie/api/file-base64-upload", encoded | {"uploadPath": "/x"}))[0] == 400
    assert answer(asked, STAGE).deed.where is Where.UPLOAD


WRAPPED = replace(STAGE, settings=Settings(delay=10.0, is_wrapped=True))


def older(
    body: object, fate: Fate = Fate.MADE, *, later: float = 10, base: Stage = STAGE
) -> object:
    """Submit to the older endpoint and return its record, `later` seconds on."""
    task = task_of(OLDER, body, replace(base, fate=fate))
    assert task.startswith("seedream_task_")
    headers = {"authorization": "Bearer k", "host": "h"}
    asked = HttpRequest(method="GET", path=OLDER_RECORD, query={"taskId": task}, headers=headers)
    return json.loads(answer(asked, replace(base, now=NOW + later)).body)


def test_the_older_endpoint_goes_through_its_flags() -> None:
    """Its record is bare as its page prints it: generating, success, failed, creation failed."""
    running = older(OLDER_EXAMPLE, later=3)
    assert isinstance(running, dict)
    assert (running["successFlag"], running["imageUrl"]) == (0, None)
    done = older(OLDER_EXAMPLE)
    assert isinstance(done, dict)
    assert set(done) == {"taskId", "successFlag", "imageUrl", "createTime", "completeTime"}
    assert done["successFlag"] == 1
    assert str(done["completeTime"]).endswith("Z")
    assert len(sizes([str(done["imageUrl"])])) == 1
    for fate, flag in ((Fate.FAILED, 2), (Fate.REFUSED, 3)):
        failed = older(OLDER_EXAMPLE, fate)
        assert isinstance(failed, dict)
        assert (failed["successFlag"], failed["errorCode"]) == (flag, 501)


def test_the_older_record_can_be_wrapped_as_all_of_kie() -> None:
    """With the setting it has KIE's envelope, and the two failures of KIE's other pages."""
    for fate, flag in ((Fate.MADE, 1), (Fate.FAILED, 3), (Fate.REFUSED, 2)):
        record = older(OLDER_EXAMPLE, fate, base=WRAPPED)
        assert isinstance(record, dict)
        assert (record["code"], record["msg"]) == (200, "success")
        assert record["data"]["successFlag"] == flag


@pytest.mark.parametrize("path", [CREATE, OLDER])
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/hook", 200),
        ("https://example.com/hook", 200),
        (None, 200),
        ("", 200),
        ("ftp://example.com/hook", 422),
        ("example.com/hook", 422),
        (7, 422),
        (["https://example.com/hook"], 422),
    ],
)
def test_a_callback_is_an_http_url(path: str, url: object, code: int) -> None:
    """`callBackUrl` is a URL of http or https, or null; anything else is refused."""
    body = KIE_EXAMPLE if path == CREATE else OLDER_EXAMPLE
    assert envelope(post(path, body | {"callBackUrl": url}))[0] == code


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": None},
        {"image_size": "16:9"},
        {"image_resolution": "3K"},
        {"num_inference_steps": 51},
        {"num_inference_steps": 2.5},
        {"guidance_scale": 0.5},
        {"seed": "x"},
        {"input_image_url": "data:image/png;base64,AAAA"},
        {"input_image_url": ["https://a.example/1.png"]},
    ],
)
def test_the_older_endpoint_validates(change: dict[str, object]) -> None:
    """Values beyond its page are refused."""
    assert envelope(post(OLDER, OLDER_EXAMPLE | change))[0] == 422


def test_seedreams_goes_from_processing_to_completed() -> None:
    """Its example is made, and `errorCode` stays 0."""
    task = task_of(APP, APP_EXAMPLE | {"maxImages": 1})
    assert task.startswith("task_")
    running = told(APP, task, 5)
    assert (running["status"], running["resultUrl"]) == ("processing", None)
    done = told(APP, task, 10)
    assert (done["status"], done["errorCode"]) == ("completed", 0)
    assert "resultUrls" not in done
    for fate, code in ((Fate.FAILED, 500), (Fate.REFUSED, 1)):
        failed = told(APP, task_of(APP, APP_EXAMPLE, replace(STAGE, fate=fate)), 10)
        assert (failed["status"], failed["errorCode"]) == ("failed", code)


def test_seedreams_bills_four_where_nothing_is_said() -> None:
    """Left-out `maxImages` means four pictures of v4 and one of every other model."""
    four = told(APP, task_of(APP, {"prompt": "a fox", "model": "bytedance/seedream-v4"}), 10)
    assert isinstance(four["resultUrls"], list)
    assert len(set(four["resultUrls"])) == 4
    for model in (None, "google/nano-banana", "bytedance/seedream-v5.0", "gpt-image-2"):
        assert "resultUrls" not in told(APP, task_of(APP, {"prompt": "fox", "model": model}), 10)
    many = APP_EXAMPLE | {"model": "bytedance/seedream-v4", "maxImages": 7}
    seven = told(APP, task_of(APP, {k: v for k, v in many.items() if k != "quality"}), 10)
    assert isinstance(seven["resultUrls"], list)
    assert len(seven["resultUrls"]) == 7
    one = told(APP, task_of(APP, {"prompt": "a fox", "model": "z-image"}), 10)
    assert "resultUrls" not in one


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"prompt": " "}, "empty_prompt"),
        ({"prompt": "x" * 1001}, "prompt_too_long"),
        ({"model": "seedream/9"}, "generation_failed"),
        ({"model": "seedream/4.5-edit"}, "generation_failed"),
        ({"ratio": "5:4"}, "generation_failed"),
        ({"quality": "2K"}, "generation_failed"),
        ({"maxImages": 16}, "generation_failed"),
        ({"image": "https://a.example/1.png"}, "generation_failed"),
        ({"model": "z-image", "quality": None, "image": ["https://a/1"]}, "generation_failed"),
        ({"model": "seedream/4.5-edit", "image": "cat.png"}, "generation_failed"),
        ({"model": "seedream/4.5-edit", "image": ["https://a/1", 7]}, "generation_failed"),
        ({"model": "seedream/4.5-edit", "image": {"url": "https://a/1"}}, "generation_failed"),
        ({"model": "seedream/4.5-edit", "image": "data:image/png;base64,AA"}, "generation_failed"),
        ({"model": "google/nano-banana-pro", "quality": "2K"}, "generation_failed"),
    ],
)
def test_seedreams_names_its_errors(change: dict[str, object], key: str) -> None:
    """Errors are keys in `message`, with code -1 and HTTP 200."""
    reply = post(APP, APP_EXAMPLE | change)
    assert envelope(reply) == (-1, f"image_generation.error.{key}")
    assert (reply.status, reply.deed.is_good) == (200, False)


def test_seedreams_takes_a_url_or_a_list() -> None:
    """Both spellings of one reference give the same picture, another than without."""
    edit = APP_EXAMPLE | {"model": "seedream/4.5-edit", "maxImages": 1}
    single = told(APP, task_of(APP, edit | {"image": "https://a.example/1.png"}), 10)
    listed = told(APP, task_of(APP, edit | {"image": ["https://a.example/1.png"]}), 10)
    other = told(APP, task_of(APP, edit | {"image": ["https://a.example/2.png"]}), 10)
    assert single["resultUrl"] == listed["resultUrl"] != other["resultUrl"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_seedreams_wants_json_to_be_called_so(kind: str) -> None:
    """The content type has to be `application/json`, with parameters or without."""
    assert envelope(post(APP, APP_EXAMPLE, kind=kind))[0] == -1
    assert envelope(post(APP, APP_EXAMPLE, kind="application/json; charset=utf-8"))[0] == 0
