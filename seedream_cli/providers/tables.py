"""What each generation of Seedream makes, whoever serves it: sizes by keyword and ratio.

Facts: Ark's image API page and tutorial (82379/1541523, 82379/1824121), 2026-09; BytePlus agrees.
"""

from __future__ import annotations

from typing import Final

from seedream_cli.core.model import Size
from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities

RATIOS: Final = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")


def _row(sizes: str) -> dict[str, Size]:
    """Read one column of the published table, in the order of `RATIOS`."""
    pairs = (size.split("x") for size in sizes.split())
    return {ratio: Size(int(w), int(h)) for ratio, (w, h) in zip(RATIOS, pairs, strict=True)}


# 4.0 at 16:9, 9:16, 21:9: the tutorial's pixels; the API page has 1280x720, 720x1280, 1512x648.
_V4_1K: Final = _row("1024x1024 1152x864 864x1152 1312x736 736x1312 1248x832 832x1248 1568x672")
_PRO_1K: Final = _row("1024x1024 1152x864 864x1152 1424x800 800x1424 1248x832 832x1248 1568x672")
_PRO_1_5K: Final = _row(
    "1536x1536 1792x1344 1344x1792 2048x1152 1152x2048 1872x1248 1248x1872 2352x1008"
)
_PRO_2K: Final = _row(
    "2048x2048 2368x1776 1776x2368 2816x1584 1584x2816 2496x1664 1664x2496 3136x1344"
)
_2K: Final = _row("2048x2048 2304x1728 1728x2304 2848x1600 1600x2848 2496x1664 1664x2496 3136x1344")
_3K: Final = _row("3072x3072 3456x2592 2592x3456 4096x2304 2304x4096 3744x2496 2496x3744 4704x2016")
_4K: Final = _row("4096x4096 4704x3520 3520x4704 5504x3040 3040x5504 4992x3328 3328x4992 6240x2656")

SEED: Final = (-1, 2**31 - 1)
"""-1 is: any. Documented for 3.0 only; KIE passes it on for v4."""

PRO_CHEAP_PIXELS: Final = 2_601_123
"""Up to here a 5.0 pro or 5.5 picture costs the lower price: 1536² and a tenth of slack (APIYI).

The official price pages (82379/1544106) print 2.61 MP: from 2,601,124 to 2,610,000 pixels the
higher price is shown, since the bound is not sure (2026-10).
"""

SEEDREAM_3: Final = Capabilities(
    label="Seedream 3.0",
    # It knows no keywords; 1K is our word for its own default, 1024x1024, and is sent as pixels.
    sizes={"1K": _V4_1K},
    default_size="1K",
    aspects=RATIOS,
    pixels=(262_144, 4_194_304),  # one source (COMFYR)
    seed=SEED,
    guidance=(1.0, 10.0),
)
SEEDREAM_4: Final = Capabilities(
    label="Seedream 4.0",
    sizes={"1K": _V4_1K, "2K": _2K, "4K": _4K},
    aspects=RATIOS,
    pixels=(921_600, 16_777_216),
)
SEEDREAM_4_5: Final = replace(
    SEEDREAM_4,
    label="Seedream 4.5",
    sizes={"2K": _2K, "4K": _4K},
    pixels=(3_686_400, 16_777_216),
)
SEEDREAM_5_LITE: Final = replace(
    SEEDREAM_4_5,
    label="Seedream 5.0 lite",
    sizes={"2K": _2K, "3K": _3K, "4K": _4K},
    formats=("jpeg", "png"),
    picks_format=True,
)
SEEDREAM_5_PRO: Final = Capabilities(
    label="Seedream 5.0 pro",
    sizes={"1K": _PRO_1K, "1.5K": _PRO_1_5K, "2K": _PRO_2K},
    aspects=RATIOS,
    pixels=(921_600, 4_624_220),
    formats=("jpeg", "png"),
    picks_format=True,
)
SEEDREAM_5_FLASH: Final = replace(SEEDREAM_5_PRO, label="Seedream 5.0 flash")
# Pixels and default format of 5.5: one source each (COMFYR, LZ).
SEEDREAM_5_5: Final = replace(SEEDREAM_5_PRO, label="Seedream 5.5", formats=("png", "jpeg"))
