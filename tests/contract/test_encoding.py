"""What goes on the wire: bodies written by hand from the providers' documents, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seedream_cli.core.model import (
    Call,
    Gateway,
    LocalImage,
    Purpose,
    Reference,
    Request,
    Size,
    Task,
)
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.openai_images import of_gateway

A = Reference(source="https://example.com/a.png", url="https://example.com/a.png")
B = Reference(source="b.png", url="data:image/png;base64,AAAA", digest="00")
C = Reference(source="https://example.com/c.png", url="https://example.com/c.png")


def asked(model: str, **more: object) -> Request:
    """Return a request for `model` as the checks would make it."""
    return replace(Request(model=model, prompt="a fox"), **more)  # type: ignore[arg-type]  # the tests name fields


ARK = "/images/generations"
JOBS = "/api/v1/jobs/createTask"
OLDER = "/api/v1/seedream/generate"
APP = "/generate-image"
FAL = "fal-ai/bytedance/seedream/v4.5/text-to-image"
FAL_PRO = "bytedance/seedream/v5/pro"
WAVE = "bytedance/seedream-v4.5"
WAVE_PRO = "bytedance/seedream-v5.0-pro"
OF_4_5 = "/models/bytedance/seedream-4.5/predictions"

GOLDEN: list[tuple[str, Request, str, dict[str, object]]] = [
    (
        "ark",
        asked("doubao-seedream-4-5-251128", keyword="2K", size=Size(2048, 2048), aspect="1:1"),
        ARK,
        {
            "model": "doubao-seedream-4-5-251128",
            "prompt": "a fox",
            "size": "2048x2048",
            "response_format": "url",
            "watermark": False,
        },
    ),
    (
        "ark",
        asked(
            "doubao-seedream-5-0-260128",
            size=Size(4096, 2304),
            format="png",
            watermark=True,
            series=4,
            references=(A, B),
        ),
        ARK,
        {
            "model": "doubao-seedream-5-0-260128",
            "prompt": "a fox",
            "image": [A.url, B.url],
            "size": "4096x2304",
            "response_format": "url",
            "watermark": True,
            "output_format": "png",
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 4},
            "stream": True,
        },
    ),
    (
        "byteplus",
        asked(
            "dola-seedream-5-0-pro-260628",
            size=Size(1424, 800),
            references=(A,),
            series=3,
            seed=7,
            guidance=2.0,
            extra={"optimize_prompt_options": {"mode": "fast"}, "watermark": True},
        ),
        ARK,
        {
            "model": "dola-seedream-5-0-pro-260628",
            "prompt": "a fox",
            "image": A.url,
            "size": "1424x800",
            "response_format": "url",
            "watermark": True,
            "optimize_prompt_options": {"mode": "fast"},
        },
    ),
    (
        "byteplus",
        asked("seededit-3-0-i2i-250628", keyword="adaptive", references=(A,), seed=1, guidance=5.5),
        ARK,
        {
            "model": "seededit-3-0-i2i-250628",
            "prompt": "a fox",
            "image": A.url,
            "size": "adaptive",
            "response_format": "url",
            "watermark": False,
            "seed": 1,
            "guidance_scale": 5.5,
        },
    ),
    (
        "ark",
        asked("ep-20261101-abcde", is_known_model=False, keyword="2K", format="png", series=2),
        ARK,
        {
            "model": "ep-20261101-abcde",
            "prompt": "a fox",
            "size": "2K",
            "response_format": "url",
            "watermark": False,
            "output_format": "png",
            "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 2},
            "stream": True,
        },
    ),
    (
        "kie",
        asked(
            "seedream/4.5-text-to-image",
            keyword="2K",
            size=Size(2848, 1600),
            aspect="16:9",
            quality="basic",
            callback_url="https://example.com/hook",
        ),
        JOBS,
        {
            "model": "seedream/4.5-text-to-image",
            "callBackUrl": "https://example.com/hook",
            "input": {"prompt": "a fox", "aspect_ratio": "16:9", "quality": "basic"},
        },
    ),
    (
        "kie",
        asked(
            "seedream/5-lite-image-to-image",
            keyword="4K",
            aspect="1:1",
            format="jpeg",
            references=(A, C),
            extra={"nsfw_checker": True},
        ),
        JOBS,
        {
            "model": "seedream/5-lite-image-to-image",
            "input": {
                "prompt": "a fox",
                "image_urls": [A.url, C.url],
                "aspect_ratio": "1:1",
                "quality": "ultra",
                "output_format": "jpeg",
                "nsfw_checker": True,
            },
        },
    ),
    (
        "kie",
        asked("seedream/5-flash-text-to-image", keyword="1.5K", aspect="9:16"),
        JOBS,
        {
            "model": "seedream/5-flash-text-to-image",
            "input": {"prompt": "a fox", "aspect_ratio": "9:16", "size": "1.5K"},
        },
    ),
    (
        "kie",
        asked("seedream/5-pro-layer-decomposition", keyword="auto", references=(A,)),
        JOBS,
        {
            "model": "seedream/5-pro-layer-decomposition",
            "input": {"prompt": "a fox", "image_url": A.url, "size": "auto"},
        },
    ),
    (
        "kie",
        asked(
            "bytedance/seedream-v4-text-to-image", keyword="4K", aspect="21:9", series=6, seed=42
        ),
        JOBS,
        {
            "model": "bytedance/seedream-v4-text-to-image",
            "input": {
                "prompt": "a fox",
                "image_size": "landscape_21_9",
                "image_resolution": "4K",
                "max_images": 6,
                "seed": 42,
            },
        },
    ),
    (
        "kie",
        asked("bytedance/seedream-v4-edit", keyword="1K", aspect="1:1", references=(A,)),
        JOBS,
        {
            "model": "bytedance/seedream-v4-edit",
            "input": {
                "prompt": "a fox",
                "image_urls": [A.url],
                "image_size": "square",
                "image_resolution": "1K",
            },
        },
    ),
    (
        "kie",
        asked("bytedance/seedream", aspect="1:1", guidance=2.5),
        JOBS,
        {
            "model": "bytedance/seedream",
            "input": {"prompt": "a fox", "image_size": "square_hd", "guidance_scale": 2.5},
        },
    ),
    (
        "kie",
        asked(
            "z-image",
            is_known_model=False,
            aspect="4:3",
            extra={"strength": 0.5, "callBackUrl": "https://example.com/"},
        ),
        JOBS,
        {
            "model": "z-image",
            "callBackUrl": "https://example.com/",
            "input": {"prompt": "a fox", "aspect_ratio": "4:3", "strength": 0.5},
        },
    ),
    (
        "kie-seedream",
        asked("", keyword="2K", aspect="16:9", steps=30, guidance=7.5, seed=3),
        OLDER,
        {
            "prompt": "a fox",
            "image_size": "landscape_16_9",
            "image_resolution": "2K",
            "num_inference_steps": 30,
            "guidance_scale": 7.5,
            "seed": 3,
        },
    ),
    (
        "kie-seedream",
        asked(
            "",
            keyword="1K",
            aspect="1:1",
            references=(A,),
            callback_url="https://example.com/hook",
        ),
        OLDER,
        {
            "prompt": "a fox",
            "input_image_url": A.url,
            "image_size": "square",
            "image_resolution": "1K",
            "callBackUrl": "https://example.com/hook",
        },
    ),
    (
        "uniall",
        asked("seedream-4.5", keyword="2K", size=Size(2048, 2048), aspect="1:1", count=3),
        "/v1/images/generations",
        {
            "model": "seedream-4.5",
            "prompt": "a fox",
            "n": 3,
            "custom_size": {"width": 2048, "height": 2048},
        },
    ),
    (
        "uniall",
        asked(
            "seedream-5.0-lite",
            size=Size(2560, 1440),
            references=(A, C),
            edit=True,
            extra={"timeout_seconds": 300},
        ),
        "/v1/images/edits",
        {
            "model": "seedream-5.0-lite",
            "prompt": "a fox",
            "n": 1,
            "custom_size": {"width": 2560, "height": 1440},
            "image": [A.url, C.url],
            "timeout_seconds": 300,
        },
    ),
    (
        "uniall",
        asked("seedream-4.0", extra={"num_images": 2}),
        "/v1/images/generations",
        {"model": "seedream-4.0", "prompt": "a fox", "num_images": 2},
    ),
    (
        "seedreams",
        asked("seedream/4.5-text-to-image", keyword="4K", aspect="16:9"),
        APP,
        {
            "model": "seedream/4.5-text-to-image",
            "prompt": "a fox",
            "ratio": "16:9",
            "quality": "high",
            "maxImages": 1,
        },
    ),
    (
        "seedreams",
        asked("bytedance/seedream-v4", aspect="1:1", series=5, references=(A,)),
        APP,
        {
            "model": "bytedance/seedream-v4",
            "prompt": "a fox",
            "ratio": "1:1",
            "image": A.url,
            "maxImages": 5,
        },
    ),
    (
        "seedreams",
        asked("google/nano-banana-2", keyword="2K", aspect="8:1", references=(A, C)),
        APP,
        {
            "model": "google/nano-banana-2",
            "prompt": "a fox",
            "ratio": "8:1",
            "quality": "2K",
            "image": [A.url, C.url],
            "maxImages": 1,
        },
    ),
    (
        "openai-images",
        asked("any", size=Size(1024, 1536), quality="high", format="jpeg"),
        "/images/generations",
        {
            "model": "any",
            "prompt": "a fox",
            "n": 1,
            "size": "1024x1536",
            "quality": "high",
            "output_format": "jpeg",
        },
    ),
    (
        "seedreams",
        asked("z-image", aspect="3:4"),
        APP,
        {"model": "z-image", "prompt": "a fox", "ratio": "3:4", "maxImages": 1},
    ),
    (
        "fal",
        asked(FAL, keyword="2K", size=Size(2848, 1600), aspect="16:9", count=3, series=4, seed=7),
        f"/{FAL}",
        {
            "prompt": "a fox",
            "image_size": {"width": 2848, "height": 1600},
            "num_images": 3,
            "max_images": 4,
            "seed": 7,
        },
    ),
    (
        "fal",
        asked(f"{FAL_PRO}/edit", size=Size(1024, 1024), references=(A, C), format="png"),
        f"/{FAL_PRO}/edit",
        {
            "prompt": "a fox",
            "image_urls": [A.url, C.url],
            "image_size": {"width": 1024, "height": 1024},
            "num_images": 1,
            "output_format": "png",
        },
    ),
    (
        "fal",
        asked(f"{FAL_PRO}/layerize", keyword="1.5K", references=(A,)),
        f"/{FAL_PRO}/layerize",
        {"prompt": "a fox", "image_url": A.url, "image_size": "auto_1.5K"},
    ),
    (
        "fal",
        asked("fal-ai/new", is_known_model=False, keyword="4K", extra={"sync_mode": True, "x": 1}),
        "/fal-ai/new",
        {"prompt": "a fox", "image_size": "auto_4K", "num_images": 1, "x": 1},
    ),
    (
        "wavespeed",
        asked(WAVE, keyword="2K", size=Size(2848, 1600), aspect="16:9"),
        f"/{WAVE}",
        {"prompt": "a fox", "size": "2848*1600"},
    ),
    (
        "wavespeed",
        asked(f"{WAVE}/edit-sequential", size=Size(2048, 2048), series=4, references=(A, C)),
        f"/{WAVE}/edit-sequential",
        {"prompt": "a fox", "images": [A.url, C.url], "size": "2048*2048", "max_images": 4},
    ),
    (
        "wavespeed",
        asked(f"{WAVE}/sequential", size=Size(2048, 2048)),
        f"/{WAVE}/sequential",
        {"prompt": "a fox", "size": "2048*2048", "max_images": 1},
    ),
    (
        "wavespeed",
        asked(f"{WAVE_PRO}/edit", keyword="1.5K", aspect="9:21", references=(A,), format="png"),
        f"/{WAVE_PRO}/edit",
        {
            "prompt": "a fox",
            "images": [A.url],
            "aspect_ratio": "9:21",
            "resolution": "1.5k",
            "output_format": "png",
        },
    ),
    (
        "wavespeed",
        asked(f"{WAVE_PRO}/layer-decomposition", keyword="2K", references=(A,)),
        f"/{WAVE_PRO}/layer-decomposition",
        {"prompt": "a fox", "image": A.url, "resolution": "2k"},
    ),
    (
        "replicate",
        asked("bytedance/seedream-4.5", keyword="2K", size=Size(2048, 2048), aspect="1:1"),
        OF_4_5,
        {
            "input": {
                "prompt": "a fox",
                "size": "2K",
                "aspect_ratio": "1:1",
                "sequential_image_generation": "disabled",
                "max_images": 1,
            }
        },
    ),
    (
        "replicate",
        asked(
            "bytedance/seedream-4.5",
            size=Size(2560, 2048),
            series=4,
            references=(A, C),
            callback_url="https://example.com/hook",
        ),
        OF_4_5,
        {
            "input": {
                "prompt": "a fox",
                "image_input": [A.url, C.url],
                "size": "custom",
                "width": 2560,
                "height": 2048,
                "sequential_image_generation": "auto",
                "max_images": 4,
            },
            "webhook": "https://example.com/hook",
            "webhook_events_filter": ["completed"],
        },
    ),
    (
        "replicate",
        asked(
            "bytedance/seedream-5-pro",
            keyword="1K",
            aspect="16:9",
            format="jpeg",
            extra={"layer_decomposition": True},
        ),
        "/models/bytedance/seedream-5-pro/predictions",
        {
            "input": {
                "prompt": "a fox",
                "size": "1K",
                "aspect_ratio": "16:9",
                "output_format": "jpeg",
                "layer_decomposition": True,
            }
        },
    ),
    (
        "replicate",
        asked("bytedance/seedream-3", keyword="1K", quality="regular", aspect="1:1", seed=7),
        "/models/bytedance/seedream-3/predictions",
        {"input": {"prompt": "a fox", "size": "regular", "aspect_ratio": "1:1", "seed": 7}},
    ),
    (
        "replicate",
        asked("bytedance/seedream-3", size=Size(1024, 768), aspect="4:3", guidance=3.5),
        "/models/bytedance/seedream-3/predictions",
        {
            "input": {
                "prompt": "a fox",
                "aspect_ratio": "custom",
                "width": 1024,
                "height": 768,
                "guidance_scale": 3.5,
            }
        },
    ),
    (
        "replicate",
        asked("someone/new", is_known_model=False, aspect="4:3", extra={"strength": 0.5}),
        "/models/someone/new/predictions",
        {"input": {"prompt": "a fox", "aspect_ratio": "4:3", "strength": 0.5}},
    ),
    (
        "openrouter",
        asked(
            "bytedance-seed/seedream-4.5",
            keyword="2K",
            size=Size(2848, 1600),
            aspect="16:9",
            references=(A, B),
        ),
        "/images",
        {
            "model": "bytedance-seed/seedream-4.5",
            "prompt": "a fox",
            "n": 1,
            "resolution": "2K",
            "aspect_ratio": "16:9",
            "input_references": [
                {"type": "image_url", "image_url": {"url": A.url}},
                {"type": "image_url", "image_url": {"url": B.url}},
            ],
        },
    ),
    (
        "openrouter",
        asked(
            "bytedance-seed/seedream-5-0-pro",
            keyword="1K",
            aspect="1:1",
            seed=3,
            extra={"provider": {"only": ["seed"]}},
        ),
        "/images",
        {
            "model": "bytedance-seed/seedream-5-0-pro",
            "prompt": "a fox",
            "n": 1,
            "resolution": "1K",
            "aspect_ratio": "1:1",
            "seed": 3,
            "provider": {"only": ["seed"]},
        },
    ),
    (
        "openrouter",
        asked("some/new", is_known_model=False, size=Size(1024, 768), aspect="4:3", format="png"),
        "/images",
        {
            "model": "some/new",
            "prompt": "a fox",
            "n": 1,
            "size": "1024x768",
            "output_format": "png",
        },
    ),
]


@pytest.mark.parametrize(("name", "request_", "path", "body"), GOLDEN)
def test_submit_is_written_as_documented(
    name: str, request_: Request, path: str, body: dict[str, object]
) -> None:
    """A request becomes the very body that the provider's document shows for it."""
    call = PROVIDERS[name].dialect.submit(request_)
    is_stream, is_inline = body.get("stream") is True, name == "openrouter"
    assert call == Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path=path,
        body=body,
        is_stream=is_stream,
        is_inline=is_inline,
    )


EVERYTHING = Request(
    model="",
    prompt="a fox",
    keyword="2K",
    size=Size(2048, 2048),
    aspect="1:1",
    count=1,
    series=3,
    seed=5,
    guidance=3.0,
    steps=20,
    quality="basic",
    format="png",
    watermark=True,
    references=(A,),
    callback_url="https://example.com/hook",
)
"""All options at once, as `--no-validate` may let them through."""

ALWAYS = {
    "ark": {"model", "prompt", "size", "response_format", "watermark"},
    "byteplus": {"model", "prompt", "size", "response_format", "watermark"},
    "kie": {"prompt"},
    "kie-seedream": {"prompt", "callBackUrl"},
    "uniall": {"model", "prompt", "n", "custom_size"},
    "seedreams": {"model", "prompt", "maxImages"},
    "fal": {"prompt"},
    "wavespeed": {"prompt"},
    "replicate": {"prompt"},
    "openrouter": {"model", "prompt", "n"},
}


@pytest.mark.parametrize(
    ("name", "model"), [(p.name, model) for p in PROVIDERS.values() for model in p.models]
)
def test_what_is_not_documented_is_not_sent(name: str, model: str) -> None:
    """With every option set, a model gets only fields that it documents, and none it rejects."""
    provider = PROVIDERS[name]
    able = provider.models[model]
    body = provider.dialect.submit(replace(EVERYTHING, model=model)).body or {}
    sent = body["input"] if name in {"kie", "replicate"} else body
    assert isinstance(sent, dict)
    documented = set(ALWAYS[name] | able.fields)
    documented |= {"seed"} if able.seed else set()
    documented |= {"guidance_scale"} if able.guidance else set()
    documented |= {"output_format"} if able.picks_format else set()
    assert set(sent) <= documented
    assert not set(sent) & able.rejects
    if name == "kie":
        assert set(body) == {"model", "input", "callBackUrl"}
    if name == "replicate":
        assert set(body) == {"input", "webhook", "webhook_events_filter"}
    if name == "seedreams":
        assert sent["model"] == model
        assert sent["maxImages"] == (3 if able.max_series > 1 else 1)


@pytest.mark.parametrize("aspect", ["1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"])
def test_every_older_name_is_one_of_the_documented(aspect: str) -> None:
    """KIE's older endpoint gets one of the nine names on its page, of the right orientation."""
    call = PROVIDERS["kie-seedream"].dialect.submit(asked("", keyword="2K", aspect=aspect))
    name = (call.body or {})["image_size"]
    wide, high = map(int, aspect.split(":"))
    assert name in {"square_hd"} | {f"portrait_{r}" for r in ("4_3", "3_2", "16_9")} | {
        f"landscape_{r}" for r in ("4_3", "3_2", "16_9", "21_9")
    }
    assert str(name).startswith(
        "square" if wide == high else "landscape" if wide > high else "portrait"
    )


def test_free_questions_are_written_as_documented() -> None:
    """Polls, the balance, model lists and fresh links go to the documented paths."""
    calls = {
        name: [
            (call.purpose.value, call.method, call.path, dict(call.query), call.body)
            for call in (
                dialect.poll(Task(id="t 1")) if dialect.poll else None,
                dialect.check() if dialect.check else None,
                dialect.refresh("https://example.com/x") if dialect.refresh else None,
            )
            if call
        ]
        for name, dialect in ((name, p.dialect) for name, p in PROVIDERS.items())
    }
    models: list[object] = [("check", "GET", "/models", {}, None)]
    kie: list[object] = [
        ("check", "GET", "/api/v1/chat/credit", {}, None),
        ("refresh", "POST", "/api/v1/common/download-url", {}, {"url": "https://example.com/x"}),
    ]
    ours = {"taskId": "t 1"}
    assert calls == {
        "ark": models,
        "byteplus": models,
        "kie": [("poll", "GET", "/api/v1/jobs/recordInfo", ours, None), *kie],
        "kie-seedream": [("poll", "GET", "/api/v1/seedream/record-info", ours, None), *kie],
        "uniall": [("check", "GET", "/v1/models", {}, None)],
        "seedreams": [("poll", "GET", "/generate-image", ours, None)],
        "fal": [
            ("poll", "GET", "/fal-ai/bytedance/requests/t%201/status", {}, None),
            ("check", "GET", "/models/pricing", {"endpoint_id": FAL}, None),
        ],
        "wavespeed": [
            ("poll", "GET", "/predictions/t%201/result", {}, None),
            ("check", "GET", "/balance", {}, None),
        ],
        "replicate": [
            ("poll", "GET", "/predictions/t%201", {}, None),
            ("check", "GET", "/account", {}, None),
        ],
        "openrouter": [("check", "GET", "/key", {}, None)],
        "openai-images": models,
    }


GATEWAYS: dict[str, tuple[Gateway, Request, str, dict[str, object], list[str]]] = {
    "edits as JSON": (
        Gateway(),
        asked("any", references=(A, B), keyword="2K"),
        "/images/edits",
        {"size": "2K", "image": [A.url, B.url]},
        [],
    ),
    "one reference": (
        Gateway(),
        asked("any", references=(A,), edit=True),
        "/images/edits",
        {"image": A.url},
        [],
    ),
    "OpenAI's own JSON": (
        Gateway(image_field="images"),
        asked("any", references=(A, B)),
        "/images/edits",
        {"images": [{"image_url": A.url}, {"image_url": B.url}]},
        [],
    ),
    "a list of addresses": (
        Gateway(image_field="image_urls"),
        asked("any", references=(A,)),
        "/images/edits",
        {"image_urls": [A.url]},
        [],
    ),
    "in the generations": (
        Gateway(edits="generations", response_format="b64_json"),
        asked("any", references=(A,), edit=True),
        "/images/generations",
        {"response_format": "b64_json", "image": A.url},
        [],
    ),
    "a form": (
        Gateway(edits="multipart"),
        asked("any", references=(B,), format="png"),
        "/images/edits",
        {"output_format": "png"},
        ["image"],
    ),
    "a form with several": (
        Gateway(edits="multipart"),
        asked("any", references=(B, B)),
        "/images/edits",
        {},
        ["image[]", "image[]"],
    ),
    "a form with a name": (
        Gateway(edits="multipart", image_field="image[]"),
        asked("any", references=(B,)),
        "/images/edits",
        {},
        ["image[]"],
    ),
    "a form of addresses": (
        Gateway(edits="multipart", references="url"),
        asked("any", references=(A, C)),
        "/images/edits",
        {"image[]": [A.url, C.url]},
        [],
    ),
    "width and height": (
        Gateway(size_fields="width-height"),
        asked("any", size=Size(2048, 1152), aspect="16:9"),
        "/images/generations",
        {"width": 2048, "height": 1152},
        [],
    ),
    "what --set says": (
        Gateway(response_format="url"),
        asked("any", extra={"n": 2, "response_format": "b64_json", "watermark": False}),
        "/images/generations",
        {"n": 2, "response_format": "b64_json", "watermark": False},
        [],
    ),
}


@pytest.mark.parametrize("case", GATEWAYS)
def test_a_gateway_is_spoken_to_as_its_profile_says(case: str) -> None:
    """A profile says where references go, how, and under which name; the count is always sent."""
    gateway, request_, path, fields, files = GATEWAYS[case]
    call = of_gateway(gateway).dialect.submit(request_)
    assert (call.method, call.path) == ("POST", path)
    assert call.body == {"model": "any", "prompt": "a fox", "n": 1} | fields
    assert [name for name, _ in call.files] == files
    assert all(
        (image.media_type, image.data) == ("image/png", b"\0\0\0") for _, image in call.files
    )
    assert call.is_inline == (call.body.get("response_format") == "b64_json")


def test_a_form_is_named_by_the_digests_of_its_files() -> None:
    """Two edits that differ in nothing but a file's bytes are two purchases."""
    dialect = of_gateway(Gateway(edits="multipart")).dialect
    for url in ("sha256:00", "sha256:11"):
        body = dialect.submit(asked("any", references=(replace(B, url=url),))).body or {}
        assert body["image"] == url


def test_a_callback_goes_into_the_query_of_fal_and_wavespeed() -> None:
    """Where a webhook is no field of the body, it is in the address, and no part of a purchase."""
    for name, model, key in (("fal", FAL, "fal_webhook"), ("wavespeed", WAVE, "webhook")):
        submit = PROVIDERS[name].dialect.submit
        call = submit(asked(model, callback_url="https://example.com/hook"))
        assert call.query == {key: "https://example.com/hook"}
        assert replace(call, query={}) == submit(asked(model))


def test_fal_is_asked_where_it_says() -> None:
    """Addresses of the answer are used as they are; else the first two segments lead there."""
    dialect = PROVIDERS["fal"].dialect
    assert dialect.poll is not None
    assert dialect.result is not None
    links = {"poll": "https://queue.fal.run/x/status", "result": "https://queue.fal.run/x/response"}
    told = Task(id="1", model=FAL, links=links)
    assert dialect.poll(told).path == links["poll"]
    assert dialect.result(told).path == links["result"]
    built = Task(id="1/2", model=f"{FAL_PRO}/edit")
    assert dialect.poll(built).path == "/bytedance/seedream/requests/1%2F2/status"
    assert dialect.result(built).path == "/bytedance/seedream/requests/1%2F2"


def test_uploads_are_written_as_documented() -> None:
    """A file goes to a place that fal names first, and to WaveSpeed in one step."""
    image = LocalImage(name="a.png", media_type="image/png", digest="00", data=b"x")
    fal, wavespeed = PROVIDERS["fal"].dialect.upload, PROVIDERS["wavespeed"].dialect.upload
    assert fal is not None
    assert wavespeed is not None
    assert fal(image) == Call(
        purpose=Purpose.UPLOAD,
        method="POST",
        host="upload",
        path="/storage/upload/initiate",
        query={"storage_type": "fal-cdn-v3"},
        body={"file_name": "a.png", "content_type": "image/png"},
    )
    assert wavespeed(image) == Call(
        purpose=Purpose.UPLOAD,
        method="POST",
        path="/media/upload/binary",
        files=(("file", image),),
    )
