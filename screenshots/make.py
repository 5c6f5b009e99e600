"""`make screenshots`: an SVG of every screen at 80×24 and 160×50, over the same store on the same stopped clock, so that two runs agree.

python screenshots/make.py [--out DIR] [--sizes 60x20,200x60] [--theme executor-light] [--only fleet,logs]
"""

import argparse
import asyncio
import html
import re
import sys
import tempfile
from pathlib import Path

from rich.cells import cell_len

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "ui"))

from desk import open_desk  # noqa: E402
from views import VIEWS, View, pinned, walk  # noqa: E402

SIZES = ((80, 24), (160, 50))
CELL = 12.2
"""Width of a terminal cell in the SVG."""
_TEXT = re.compile(r'(<text class="[^"]*" )x="([^"]*)"( y="[^"]*") textLength="[^"]*"([^>]*>)([^<]*)</text>')
_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture(svg: str) -> str:
    """The terminal's own SVG without fonts from the web, which most viewers do not fetch and readers may not want fetched, and without
    spaces at the ends of a run of text, which viewers drop and then draw the rest in the wrong place."""
    svg = _TEXT.sub(_trimmed, _WEB_FONT.sub("", svg))
    return svg.replace("font-family: Fira Code, monospace;", "font-family: Fira Code, DejaVu Sans Mono, Menlo, Consolas, monospace;")


def _trimmed(found: re.Match[str]) -> str:
    head, x, y, tail, text = found.groups()
    text = text.replace("&#160;", " ")
    kept = text.strip(" ")
    if not kept:
        return ""
    left = float(x) + CELL * (len(text) - len(text.lstrip(" ")))
    return f'{head}x="{left:g}"{y} textLength="{CELL * cell_len(html.unescape(kept)):g}"{tail}{kept.replace(" ", "&#160;")}</text>'


async def make(out: Path, size: tuple[int, int], views: tuple[View, ...], theme: str) -> list[Path]:
    """Walk the screens in one console of a size."""
    written = []
    with tempfile.TemporaryDirectory() as folder:
        async with pinned(Path(folder), no_color=theme == "monochrome") as places, open_desk(places, size=size, repo=True) as desk:
            if theme:
                desk.app.theme = theme
            async for view in walk(desk, views):
                path = out / f"{view.name}-{size[0]}x{size[1]}.svg"
                path.write_text(picture(desk.app.export_screenshot(title="Executor")), encoding="utf-8")
                written.append(path)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--sizes", default=",".join(f"{w}x{h}" for w, h in SIZES))
    parser.add_argument("--theme", default="")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    views = tuple(v for v in VIEWS if not args.only or v.name in args.only.split(","))
    written = []
    for size in args.sizes.split(","):
        wide, _, high = size.partition("x")
        written += asyncio.run(make(out, (int(wide), int(high)), views, args.theme))
    if args.out == HERE and not args.only:
        for stale in set(HERE.glob("*.svg")) - set(written):
            stale.unlink()
    sys.stdout.write(f"{len(written)} pictures in {out}\n")


if __name__ == "__main__":
    main()
