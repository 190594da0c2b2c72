"""Each row of the five documents' tables holds in the sandbox: parameter, value, limit, error.

A test is a section of a document, and tries all of its rows; what does not hold is listed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from support.documents import read, table
from support.pictures import as_data, header_of, png

from seedream_cli.providers import PROVIDERS
from seedream_cli.sandbox.messages import Answer, Fate, HttpRequest, Settings, Stage
from seedream_cli.sandbox.router import answer
from seedream_cli.sandbox.tickets import read_image_name
from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DELAY = 10.0
URL = "https://example.com/image.jpg"
RATIOS = "1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9"


def ask(
    path: str, body: object = None, *, key: str = "k", later: float = 0, fate: Fate = Fate.MADE
) -> Answer:
    """POST JSON, or GET where there is none, `later` seconds after the submit."""
    parts = urlsplit(path)
    asked = HttpRequest(
        method="GET" if body is None else "POST",
        path=parts.path,
        query=dict(parse_qsl(parts.query)),
        headers={
            "authorization": f"Bearer {key}",
            "host": "h",
            "content-type": "application/json",
        },
        body=b"" if body is None else json.dumps(body).encode(),
    )
    return answer(asked, Stage(now=NOW + later, settings=Settings(delay=DELAY), fate=fate))


def opened(reply: Answer) -> dict[str, object]:
    """Return an answer's JSON object."""
    value = json.loads(reply.body)
    assert isinstance(value, dict)
    return value


def size_at(url: object) -> str:
    """Return the size of the picture at a URL."""
    picture = read_image_name(urlsplit(str(url)).path.rpartition("/")[2])
    assert picture is not None
    return f"{picture.width}x{picture.height}"


@dataclass(kw_only=True)
class Rows:
    """Tries the rows of one document against one endpoint, and keeps what does not hold."""

    path: str
    base: dict[str, object]
    """A request that is taken."""
    nested: str = ""
    """The field of it that the changes go into."""
    tried: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, change: dict[str, object], *, key: str = "k") -> Answer:
        """Send the request with a change; None leaves a field out."""
        body = dict(self.base)
        inner = body
        if self.nested:
            inner = dict(self.base[self.nested])  # type: ignore[call-overload]  # an object
            body[self.nested] = inner
        for name, value in change.items():
            inner[name] = value
            if value is None:
                del inner[name]
        return ask(self.path, body, key=key)

    def takes(self, row: str, images: int = 1, /, **change: object) -> Answer:
        """Try a row: the request is accepted, and brings so many pictures."""
        reply = self.send(change)
        made = reply.deed.images if reply.deed.is_good else 0
        if made != images:
            self._fail(row, change, f"{made} pictures, not {images}: {reply.body[:200]!r}")
        self.tried.append(row)
        return reply

    def refuses(self, row: str, words: str, /, **change: object) -> None:
        """Try a row: the request is refused, and what is answered has these words."""
        self._refused(row, words, change, self.send(change))

    def turns_away(self, row: str, words: str, key: str) -> None:
        """Try a row: a request with this key is refused, and what is answered has these words."""
        self._refused(row, words, {"key": key}, self.send({}, key=key))

    def _refused(self, row: str, words: str, change: dict[str, object], reply: Answer) -> None:
        if reply.deed.is_good or words not in reply.body.decode():
            self._fail(row, change, f"not refused with {words!r}: {reply.body[:200]!r}")
        self.tried.append(row)

    def _fail(self, row: str, change: dict[str, object], why: str) -> None:
        self.failures.append(f"{row} {str(change)[:120]}: {why}")

    def check(self, rows: Iterable[str]) -> None:
        """Fail for what did not hold, and for rows that nobody tried."""
        assert self.failures == []
        assert set(rows) - set(self.tried) == set()


def ark(**base: object) -> Rows:
    """Return the rows of ark.txt against its endpoint."""
    body = {"model": "doubao-seedream-4-5-251128", "prompt": "a fox", **base}
    return Rows(path="/ark/api/v3/images/generations", base=body)


def item(reply: Answer) -> dict[str, object]:
    """Return the first picture of an answer of Ark's."""
    found = json.loads(reply.body)["data"][0]
    assert isinstance(found, dict)
    return found


def test_ark_required_parameters() -> None:
    """ark.txt, Models and Required: both ids, and a prompt."""
    rows = ark()
    for _, model, _ in table("ark.txt", "## Models"):
        rows.takes(model, model=model)
    rows.refuses("model", '"MissingParameter"', model=None)
    rows.refuses("model", "does not exist", model="seedream")
    rows.refuses("model", "it must be a string", model=4.5)
    rows.refuses("prompt", '"MissingParameter"', prompt=None)
    rows.refuses("prompt", '"MissingParameter"', prompt="")
    rows.takes("prompt", prompt="很" * 300)
    rows.takes("prompt", prompt="fox " * 600)
    rows.check(["model", "prompt", *(row[1] for row in table("ark.txt", "## Models"))])


FORMATS = ("jpeg", "png", "webp", "bmp", "tiff", "gif")


def test_ark_image_input() -> None:
    """ark.txt, Image Input: URL, base64, a list of at most 14; formats, sides, area, ratio."""
    rows = ark()
    small = as_data(png(15, 15))
    for image in (URL, small, [URL], [URL, small], [URL] * 14):
        rows.takes("image", image=image)
    rows.refuses("image", "cannot exceed 14", image=[URL] * 15)
    rows.refuses("image", "InvalidImageURL", image="cat.png")
    rows.refuses("image", "base64", image=small + "?")
    formats = re.search(r"Supported formats: (.*)", read("ark.txt"))
    assert formats
    assert tuple(formats[1].split(", ")) == FORMATS
    for name in FORMATS:
        rows.takes(f"format {name}", image=as_data(header_of(name, 20, 20), name))
    rows.refuses("format", "not supported", image=as_data(header_of("avif", 20, 20), "avif"))
    rows.refuses("sides", "larger than 14", image=as_data(png(14, 15)))
    rows.takes("10MB", image=as_data(png(15, 15) + bytes(9_999_000)))
    rows.takes("area", image=as_data(header_of("gif", 6000, 6000)))
    rows.refuses("area", "36000000", image=as_data(header_of("gif", 6000, 6001)))
    rows.takes("ratio", image=as_data(png(15, 240)))
    rows.refuses("ratio", "1/16", image=as_data(png(15, 241)))
    rows.check([row[0] for row in table("ark.txt", "### Optional - Image Input")])


def test_ark_output_control() -> None:
    """ark.txt, Output Control: size, response_format, watermark, each with its default."""
    rows = ark()
    assert item(rows.takes("size"))["size"] == "2048x2048"
    assert item(rows.takes("size", size="2K"))["size"] == "2048x2048"
    assert item(rows.takes("size", size="4K"))["size"] == "4096x4096"
    assert item(rows.takes("size", size="2560x1440"))["size"] == "2560x1440"
    # Total pixels [3,686,400 - 16,777,216], aspect ratio [1/16, 16].
    rows.takes("size", size="4096x4096")
    rows.refuses("size", "at least 3686400", size="2560x1439")
    rows.refuses("size", "at most 16777216", size="4096x4097")
    rows.takes("size", size="7680x480")
    rows.refuses("size", "aspect ratio", size="8192x511")
    assert "url" in item(rows.takes("response_format"))
    assert "url" in item(rows.takes("response_format", response_format="url"))
    assert "b64_json" in item(rows.takes("response_format", response_format="b64_json"))
    rows.refuses("response_format", "must be one of: b64_json, url", response_format="png")
    for watermark, is_marked in ((None, True), (True, True), (False, False)):
        url = str(item(rows.takes("watermark", watermark=watermark))["url"])
        assert ("watermark" in url) is is_marked
    rows.refuses("watermark", "boolean", watermark="AI生成")
    rows.check([row[0] for row in table("ark.txt", "### Optional - Output Control")])


def test_ark_generation_mode() -> None:
    """ark.txt, Generation Mode and Usage Limits: sets of 1 to 15, inputs and outputs within 15."""
    rows = ark()
    mode, most = (row[0] for row in table("ark.txt", "### Optional - Generation Mode"))

    def options(count: object) -> dict[str, object]:
        return {mode: "auto", f"{mode}_options": {"max_images": count}}

    rows.takes(mode)
    rows.takes(mode, **{mode: "disabled"})
    rows.takes(mode, **{mode: "disabled", f"{mode}_options": {"max_images": 9}})
    rows.takes(mode, 15, **{mode: "auto"})
    rows.refuses(mode, "must be one of: auto, disabled", **{mode: "on"})
    for count in (1, 2, 15):
        rows.takes(most, count, **options(count))
    for beyond in (0, 16, 2.5, "3"):
        rows.refuses(most, most, **options(beyond))
    rows.takes(most, 5, **options(5), image=[URL] * 10)
    rows.takes(mode, 3, **{mode: "auto"}, image=[URL] * 12)
    rows.refuses(most, most, **options(6), image=[URL] * 10)
    rows.check([mode, most])


def test_ark_prompt_enhancement() -> None:
    """ark.txt, Prompt Enhancement: standard and fast; today's pages have fast for 4.0 only."""
    rows = ark(model="doubao-seedream-4-0-250828")
    ((name, *_),) = table("ark.txt", "### Optional - Prompt Enhancement")
    for mode in ("standard", "fast"):
        rows.takes(name, optimize_prompt_options={"mode": mode})
    rows.refuses(name, name, optimize_prompt_options={"mode": "slow"})
    rows.refuses(name, "object", optimize_prompt_options="fast")
    rows.check([name])


def test_ark_usage_limits() -> None:
    """ark.txt, Authentication and Usage Limits: bearer keys, URLs of 24 hours, 500 a minute."""
    rows = ark()
    rows.turns_away("authentication", '"AuthenticationError"', "")
    url = str(item(rows.takes("24 hours"))["url"])
    assert ask(url, key="").status == 400  # an image host is shown no key
    signed = HttpRequest(
        method="GET", path=urlsplit(url).path, query=dict(parse_qsl(urlsplit(url).query))
    )
    day = timedelta(hours=24).total_seconds()
    assert answer(signed, Stage(now=NOW + day - 1)).status == 200
    assert answer(signed, Stage(now=NOW + day)).status == 403
    limit = PROVIDERS["ark"].limit
    assert limit is not None
    assert (limit.count, limit.per, limit.of) == (500, timedelta(minutes=1), "images")
    rows.check(["authentication"])


def test_kies_market() -> None:
    """kie-market.txt, Request Example: each field, and what stands there for it."""
    rows = Rows(
        path="/kie/api/v1/jobs/createTask",
        base={"model": "seedream/4.5-text-to-image", "input": {}},
        nested="input",
    )
    rows.base["input"] = {"prompt": "a cafe", "aspect_ratio": "1:1", "quality": "basic"}
    for aspect in RATIOS.split():
        rows.takes("aspect_ratio", aspect_ratio=aspect)
    for quality in ("basic", "high"):
        rows.takes("quality", quality=quality)
    rows.takes("prompt", prompt="x" * 3000)
    for name in ("prompt", "aspect_ratio", "quality"):
        rows.refuses(name, '"code":422', **{name: None})
        rows.refuses(name, '"code":422', **{name: 7})
    rows.turns_away("Authorization", '"code":401', "wrong")
    top = Rows(path=rows.path, base=rows.base)
    top.takes("callBackUrl", callBackUrl="https://your-domain.com/api/callback")
    top.takes("callBackUrl", callBackUrl=None)
    top.refuses("callBackUrl", '"code":422', callBackUrl="your-domain.com")
    top.refuses("model", '"code":422', model=None)
    top.refuses("input", '"code":422', input=None)
    rows.check(["prompt", "aspect_ratio", "quality"])
    top.check(["model", "callBackUrl", "input"])
    assert rows.send({}, key="no-credit").deed.is_good is False


OLDER = "kie-seedream-endpoint.txt"


def test_kies_older_endpoint() -> None:
    """kie-seedream-endpoint.txt, Parameters, Image Size Options and Resolution Examples."""
    rows = Rows(path="/kie/api/v1/seedream/generate", base={"prompt": "a fox"})
    rows.refuses("prompt", '"code":422', prompt=None)
    sizes = dict(re.findall(r"^- `(\w+)` - (\d+:\d+)", read(OLDER), re.MULTILINE))
    assert len(sizes) == 9
    for name, ratio in sizes.items():
        across, down = map(int, ratio.split(":"))
        if name.startswith("portrait"):
            # The page names the ratio alone; a portrait of 4:3 is 3 wide and 4 high.
            across, down = down, across
        width, height = map(int, size_of(rows.takes("image_size", image_size=name)).split("x"))
        assert abs(width / height - across / down) < 0.05, name
    rows.refuses("image_size", '"code":422', image_size="1:1")
    known = {"1K": "1024x1024", "2K": "2048x2048", "4K": "4096x3072"}
    for word, pixels in known.items():
        assert f"- `{word}` - {pixels}" in read(OLDER).replace("\N{MULTIPLICATION SIGN}", "x")
        image_size = "landscape_4_3" if word == "4K" else "square"
        reply = rows.takes("image_resolution", image_resolution=word, image_size=image_size)
        assert size_of(reply) == pixels
    rows.refuses("image_resolution", '"code":422', image_resolution="3K")
    for name, least, most, beyond in (
        ("num_inference_steps", 1, 50, (0, 51, 2.5, "30")),
        ("guidance_scale", 1, 20, (0.9, 20.5, "7")),
    ):
        assert f"({least}-{most})" in read(OLDER)
        for value in (least, most):
            rows.takes(name, **{name: value})
        for wrong in beyond:
            rows.refuses(name, '"code":422', **{name: wrong})
    rows.takes("guidance_scale", guidance_scale=7.5)
    rows.takes("seed", seed=7)
    rows.refuses("seed", '"code":422', seed=7.5)
    rows.takes("input_image_url", input_image_url=URL)
    rows.refuses("input_image_url", '"code":422', input_image_url=[URL])
    rows.takes("callBackUrl", callBackUrl="https://example.com/hook")
    rows.refuses("callBackUrl", '"code":422', callBackUrl=True)
    rows.check([row[0] for row in table(OLDER, "## Parameters")])


def size_of(reply: Answer) -> str:
    """Return the size that a job of KIE's older endpoint makes."""
    task = json.loads(reply.body)["data"]["taskId"]
    path = f"/kie/api/v1/seedream/record-info?taskId={task}"
    return size_at(opened(ask(path, later=DELAY))["imageUrl"])


def test_kies_older_status_codes() -> None:
    """kie-seedream-endpoint.txt, Status Codes and Specs: 0 to 3, 14 days, 0.0175 USD."""
    codes = dict(re.findall(r"^- `(\d)` - (.*)", read(OLDER), re.MULTILINE))
    assert codes == {"0": "Generating", "1": "Success", "2": "Failed", "3": "Creation failed"}
    told = []
    ways = ((Fate.MADE, 0), (Fate.MADE, DELAY), (Fate.FAILED, DELAY), (Fate.REFUSED, DELAY))
    for fate, later in ways:
        reply = ask("/kie/api/v1/seedream/generate", {"prompt": "a fox"}, fate=fate)
        task = json.loads(reply.body)["data"]["taskId"]
        record = opened(ask(f"/kie/api/v1/seedream/record-info?taskId={task}", later=later))
        told.append(str(record["successFlag"]))
        if record["imageUrl"]:
            path = urlsplit(str(record["imageUrl"])).path
            days = timedelta(days=14).total_seconds()
            fetched = [
                answer(HttpRequest(method="GET", path=path), Stage(now=NOW + days + late)).status
                for late in (-1, 0)
            ]
            assert fetched == [200, 403]
    assert told == list(codes)
    price = ask("/kie/api/v1/seedream/generate", {"prompt": "a fox"}).deed.price
    assert price is not None
    assert (price.amount, price.currency) == (Decimal("0.0175"), "USD")
    assert "3.5 credits per image ($0.0175)" in read(OLDER)


APP = "seedreams-app.txt"
EDITS = (
    "seedream/4.5-edit",
    "seedream/5-lite-image-to-image",
    "google/nano-banana-pro",
    "4o-Image",
)
"""Models that require reference images, by the Model Notes; GPT Image 2 is in both lists."""
_WIDE = "1:1, 1:4, 1:8, 2:3, 3:2, 3:4, 4:1, 4:3, 4:5, 5:4, 8:1, 9:16, 16:9, 21:9, auto"
_EIGHT = "1:1, 4:3, 3:4, 16:9, 9:16, 3:2, 2:3, 21:9"
_GPT = "auto, 1:1, 5:4, 9:16, 21:9, 16:9, 4:3, 3:2, 4:5, 3:4, 2:3"
_NEWER = (
    "bytedance/seedream-v4.5 bytedance/seedream-v5.0 seedream/4.5-text-to-image seedream/4.5-edit"
    " seedream/5-lite-text-to-image seedream/5-lite-image-to-image"
)
MATRIX = (
    ("Banana 2", _WIDE, "1", "1K, 2K, 4K", "google/nano-banana-2"),
    ("Banana Pro", _EIGHT, "1", "1K, 2K, 4K", "google/nano-banana-pro"),
    ("Seedream v4", _EIGHT, "1\N{EN DASH}15", "", "bytedance/seedream-v4"),
    ("Seedream 4.5 / 5.0", _EIGHT, "1", "basic, high", _NEWER),
    ("GPT Image 2", _GPT, "1 (up to 16 refs)", "", "gpt-image-2"),
    ("4o-Image", "1:1, 3:2, 2:3", "1", "", "4o-Image"),
    ("z-image", "1:1, 4:3, 3:4, 16:9, 9:16", "1", "", "z-image"),
)
"""Family, ratios, pictures and quality as the page has them, and the models that are meant."""


MODELS = [model for *_, models in MATRIX for model in models.split()]


def app() -> Rows:
    """Return the rows of seedreams-app.txt against its endpoint."""
    return Rows(path="/seedreams/api/generate-image", base={"prompt": "a fox"})


def of(model: str) -> dict[str, object]:
    """Return what a request for a model of seedreams.app needs."""
    return {"model": model, **({"image": URL} if model in EDITS else {})}


def test_seedreams_request_body() -> None:
    """seedreams-app.txt, Request Body: every model, prompt lengths, images, quality, defaults."""
    rows = app()
    named = read(APP).partition("use for generation.\n")[2].partition("\n")[0]
    assert len(named) == sum(map(len, MODELS))
    assert all(model in named for model in MODELS)
    for name in MODELS:
        rows.takes("model", 4 if name == "bytedance/seedream-v4" else 1, **of(name))
    rows.takes("model")
    rows.refuses("model", "generation_failed", model="seedream/6")
    for model, longest in ((None, 10_000), ("gpt-image-2", 20_000), ("z-image", 1000)):
        rows.takes("prompt", prompt="x" * longest, model=model)
        rows.refuses("prompt", "prompt_too_long", prompt="x" * (longest + 1), model=model)
    edit = of("seedream/4.5-edit")
    rows.takes("image", **edit)
    rows.takes("image", **edit | {"image": [URL, URL]})
    rows.refuses("image", "generation_failed", **edit | {"image": None})
    rows.refuses("image", "generation_failed", **edit | {"image": "cat.png"})
    rows.takes("ratio", ratio="16:9")
    rows.refuses("ratio", "generation_failed", ratio="16:10")
    v4 = of("bytedance/seedream-v4")
    for count in (1, 4, 15):
        rows.takes("maxImages", count, maxImages=count, **v4)
    rows.takes("maxImages", 4, **v4)
    for beyond in (0, 16, 2.5, "2"):
        rows.refuses("maxImages", "generation_failed", maxImages=beyond, **v4)
    rows.takes("quality", quality="4K")
    rows.refuses("quality", "generation_failed", quality="high")
    rows.check(["prompt", "model", "ratio", "image", "maxImages", "quality"])


def test_seedreams_error_codes() -> None:
    """seedreams-app.txt, Error Codes: each is told with code -1, and nothing is charged."""
    rows = app()
    rows.turns_away("login_required", '{"code":-1,"message":"login_required"}', "wrong")
    rows.turns_away("login_required", '"login_required"', "")
    rows.turns_away("my_credits.no_credits_description", "no_credits_description", "no-credit")
    general = "image_generation.error."
    rows.refuses(f"{general}empty_prompt", f"{general}empty_prompt", prompt=None)
    rows.refuses(f"{general}empty_prompt", f"{general}empty_prompt", prompt="")
    rows.refuses(f"{general}prompt_too_long", f"{general}prompt_too_long", prompt="x" * 10_001)
    rows.refuses(f"{general}generation_failed", f"{general}generation_failed", model="none")
    reply = ask(rows.path, [])
    assert opened(reply) == {"code": -1, "message": f"{general}unknown_error"}
    rows.tried.append(f"{general}unknown_error")
    rows.check(re.findall(r"^-1\n(\S+)$", read(APP), re.MULTILINE))


def test_seedreams_capability_matrix() -> None:
    """seedreams-app.txt, Model Capability Matrix: ratios, pictures, quality of each family."""
    rows = app()
    page = read(APP).partition("Quality Options\n")[2].partition("\n\n")[0].splitlines()
    assert page == ["".join(cells) for *cells, _ in MATRIX]
    for family, ratios, images, quality, models in MATRIX:
        most, words = (
            int(images.partition("\N{EN DASH}")[2] or 1),
            quality.split(", ") if quality else [],
        )
        for model in map(of, models.split()):
            for ratio in _WIDE.split(", "):
                if ratio in ratios.split(", "):
                    rows.takes(family, ratio=ratio, maxImages=1, **model)
                else:
                    rows.refuses(family, "generation_failed", ratio=ratio, **model)
            rows.takes(family, most, maxImages=15, **model)
            for word in ("basic", "high", "1K", "2K", "4K") if words else ():
                if word in words:
                    rows.takes(family, quality=word, maxImages=1, **model)
                else:
                    rows.refuses(family, "generation_failed", quality=word, **model)
    rows.check([family for family, *_ in MATRIX])


def test_seedreams_model_notes() -> None:
    """seedreams-app.txt, Model Notes: text models, edit models, and the two that are special."""
    rows = app()
    notes = read(APP).partition("\nModel Notes\n")[2]
    for name in ("google/nano-banana", "seedream/4.5-text-to-image", "z-image", "gpt-image-2"):
        assert name in notes
        rows.takes("text", model=name)
    for name in EDITS:
        assert name in notes
        rows.refuses("edit", "generation_failed", model=name)
        rows.takes("edit", model=name, image=URL)
    rows.takes("z-image", model="z-image", maxImages=9)
    rows.refuses("z-image", "generation_failed", model="z-image", image=URL)
    rows.takes("GPT Image 2", model="gpt-image-2", image=[URL] * 16)
    rows.refuses("GPT Image 2", "generation_failed", model="gpt-image-2", image=[URL] * 17)
    rows.check(["text", "edit", "z-image", "GPT Image 2"])


UNIALL = "uniall.txt"


def uniall(path: str = "generations", **base: object) -> Rows:
    """Return the rows of uniall.txt against one of its endpoints."""
    body = {"model": "seedream-4.5", "prompt": "a fox", **base}
    return Rows(path=f"/uniall/v1/images/{path}", base=body)


def test_uniall_parameters() -> None:
    """uniall.txt, supported parameters and `n`: every field, from 1 to 6 pictures, and 1 unsaid."""
    rows, edits = uniall(), uniall("edits")
    for model, *_ in table(UNIALL, "### supports Model"):
        rows.takes("model", model=model)
        edits.takes("model", model=model, image=URL)
    rows.refuses("model", '"param":"model"', model=None)
    rows.refuses("prompt", '"param":"prompt"', prompt=None)
    rows.takes("n")
    for name in ("n", "num_images"):
        for count in (1, 6):
            rows.takes("n", count, **{name: count})
        for wrong in (0, 7, 1.5, "2"):
            rows.refuses("n", f'"param":"{name}"', **{name: wrong})
    rows.takes("custom_size", custom_size={"width": 2048, "height": 2048})
    rows.refuses("custom_size", '"param":"custom_size"', custom_size=[2048, 2048])
    for name, values in {
        "image": (URL, [URL], [URL, URL]),
        "image_url": (URL, {"url": URL}, [URL]),
        "image_urls": ([URL], [URL, URL]),
        "images": ([URL], [{"url": URL}], [{"image_url": URL}, URL]),
    }.items():
        for value in values:
            edits.takes(name, **{name: value})
        edits.refuses(name, "http(s) URLs", **{name: ["data:image/png;base64,AAAA"]})
    edits.refuses("image", '"param":"image"')
    rows.takes("timeout_seconds", timeout_seconds=60)
    rows.refuses("timeout_seconds", '"param":"timeout_seconds"', timeout_seconds="60")
    rows.turns_away("Authentication", '"invalid_api_key"', "wrong")
    rows.tried += edits.tried
    rows.failures += edits.failures
    rows.check([row[0] for row in table(UNIALL, "### supported parameters")])


def test_uniall_sizes() -> None:
    """uniall.txt, `custom_size` sizeRules: both tables, each cell, and what lies beyond."""
    rows = uniall()
    bounds = table(UNIALL, "sizeconstraints:")
    for model, least, most, longest, _ in bounds:
        assert (int(most), int(longest)) == (16_777_216, 4096)
        width = int(least) // 900
        rows.takes(model, model=model, custom_size={"width": width, "height": 900})
        for beyond in ((width, 899), (4097, 2048), (2048, 4097)):
            size = dict(zip(("width", "height"), beyond, strict=True))
            rows.refuses(model, '"param":"custom_size"', model=model, custom_size=size)
        rows.takes(model, model=model, custom_size={"width": 2047, "height": 2049})
    models = [row[0] for row in bounds]
    for pixels, _, *cells in table(UNIALL, " size:"):
        width, height = map(int, pixels.split("x"))
        for model, cell in zip(models, cells, strict=True):
            given = {"model": model, "custom_size": {"width": width, "height": height}}
            if "unavailable" in cell:
                rows.refuses(pixels, '"param":"custom_size"', **given)
            else:
                found = json.loads(rows.takes(pixels, **given).body)["data"][0]["url"]
                assert size_at(found) == pixels
    rows.check([*models, *(row[0] for row in table(UNIALL, " size:"))])


def test_uniall_references() -> None:
    """uniall.txt, editingconstraints: 10 references, 6 pictures, 15 together."""
    rows = uniall("edits")
    assert [row[1] for row in table(UNIALL, "editingconstraints:")] == ["10", "6", "15"]
    rows.refuses("reference up to", '"param":"image"', image_urls=[URL] * 11)
    rows.refuses("up to", '"param":"n"', image=URL, n=7)
    rows.refuses("together", '"param":"num_images"', image_urls=[URL] * 10, num_images=6)
    pairs = read(UNIALL).partition("| reference | `num_images` |")[2]
    told = re.findall(r"^\| `(\d+)`\|`(\d+)` \|$", pairs, re.MULTILINE)
    assert len(told) == 4
    for references, count in told:
        given = {"image_urls": [URL] * int(references), "num_images": int(count)}
        rows.takes(f"{references} references", int(count), **given)
    rows.check([f"{references} references" for references, _ in told])


def test_nothing_here_is_a_picture_by_accident() -> None:
    """The headers that stand for pictures are read as what they are meant to be."""
    for name in (*FORMATS, "avif"):
        facts = inspect(header_of(name, 20, 30))
        assert (facts.format, facts.width, facts.height) == (name, 20, 30)
