"""Icons: the silhouettes of the statuses drawn here, most others from heroicons.

Each is 16 × 16 pixels, in the colour of the text beside it, and hidden from screen
readers: the word beside it speaks. What stands in row after row is drawn once a page,
in the sprite of base.html, and used from there. What moves is drawn where it stands,
since "still" is said there.
"""

from __future__ import annotations

from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from heroicons.templatetags import heroicons

from imports.wording.status import STATUSES

_LINE = 'fill="none" stroke="currentColor" stroke-width="1.5"'
_ROUND = 'stroke-linecap="round" stroke-linejoin="round"'
_CUT = 'fill="currentColor" fill-rule="evenodd"'
_DIAMOND = "M8 .9 15.1 8 8 15.1.9 8z"

# Silhouettes of the statuses, which wording/status.py names.
_SHAPES: dict[str, str] = {
    "dotted-ring": f'<circle cx="8" cy="8" r="6.25" {_LINE} stroke-linecap="round"'
    ' stroke-dasharray="0 3.272"/>',
    "arrow-in-ring": f'<path class="turns" d="M4.2 3.05a6.25 6.25 0 1 0 7.6 0" {_LINE}'
    f' stroke-linecap="round"/><path d="M4.6 8h6M8.2 5.6 10.6 8l-2.4 2.4"'
    f" {_LINE} {_ROUND}/>",
    "turning-ring": f'<circle cx="8" cy="8" r="6.25" {_LINE} opacity=".35"/>'
    f'<path class="turns" d="M8 1.75a6.25 6.25 0 0 1 4.42 10.67" {_LINE}'
    ' stroke-linecap="round"/><circle cx="8" cy="8" r="2.75" fill="currentColor"/>',
    "tick-disc": f'<path {_CUT} d="M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1z'
    'M4.5 8.3 5.6 7.2l1.7 1.7 3.2-3.8 1.15.97-4.3 5.1z"/>',
    "warning-triangle": f'<path {_CUT} d="M8 1.3c.5 0 .97.27 1.22.7l5.6 9.8'
    "a1.4 1.4 0 0 1-1.22 2.1H2.4a1.4 1.4 0 0 1-1.22-2.1L6.78 2c.25-.43.72-.7"
    ' 1.22-.7zM7.2 5.2v4h1.6v-4zM8 10.4a.9.9 0 1 0 0 1.8.9.9 0 0 0 0-1.8z"/>',
    "crossed-octagon": f'<path {_CUT} d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z'
    "M6.1 5.05 5.05 6.1 6.95 8l-1.9 1.9 1.05 1.05L8 9.05l1.9 1.9 1.05-1.05"
    'L9.05 8l1.9-1.9L9.9 5.05 8 6.95z"/>',
    "struck-ring": f'<g {_LINE}><circle cx="8" cy="8" r="6.25"/>'
    '<path d="m3.7 12.3 8.6-8.6"/></g>',
    "question-diamond": f'<path {_CUT} d="{_DIAMOND}M5.75 6.2a2.25 2.25 0 1 1 2.95 2.14'
    "v.76H7.3V7.9c0-.4.32-.75.72-.75a.95.95 0 1 0-.92-.95z"
    'M8 10.1a.85.85 0 1 0 0 1.7.85.85 0 0 0 0-1.7z"/>',
    "dotted-diamond": f'<path d="M8 1.6 14.4 8 8 14.4 1.6 8z" {_LINE} {_ROUND}/>'
    '<path d="M5.2 8h.01M8 8h.01M10.8 8h.01" fill="none" stroke="currentColor"'
    ' stroke-width="1.6" stroke-linecap="round"/>',
    "return-arrow": f'<path d="M5.6 2.9 2.5 6l3.1 3.1M2.5 6h7a3.6 3.6 0 0 1 0 7.2H6.7"'
    f" {_LINE} {_ROUND}/>",
    # What else heroicons lacks: a pulled plug, arrows that replace, and the mark of
    # the product (the strip).
    "unplugged": f'<path d="M2 2l12 12M5.7 1.8v3M10.3 1.8v3M7.2 5h5.1v2.3'
    "c0 1.1-.4 2-1 2.7M9.2 11.2c-.4.1-.8.2-1.2.2-2.4 0-4.3-1.9-4.3-4.3V5H5"
    f'M8 11.4v3" {_LINE} {_ROUND}/>',
    "replace": f'<path d="M2.5 5h10M9.8 2.3 12.5 5 9.8 7.7M13.5 11h-10'
    f'M6.2 8.3 3.5 11l2.7 2.7" {_LINE} {_ROUND}/>',
    "brand": '<path d="M1 8h2v5H1zM5 5h2v8H5zM9 7h2v6H9zM13 2h2v11h-2zM0 14.2h16v1H0z"'
    ' fill="currentColor"/>',
}

# What tables repeat.
_SHARED = (
    *(
        look.icon
        for look in STATUSES.values()
        if 'class="turns"' not in _SHAPES.get(look.icon, "")
    ),
    *("replace", "unplugged", "play", "star", "star-outline"),
)
_BOX = ' viewBox="0 0 16 16"'


def _svg(shape: str, size: int, box: str = "") -> SafeString:
    return mark_safe(  # noqa: S308 - constants of this module
        f'<svg class="icon" width="{size}" height="{size}"{box} aria-hidden="true">'
        f"{shape}</svg>"
    )


def status_icon_svg(status: str, *, size: int = 16) -> SafeString:
    return icon_svg(STATUSES[str(status)].icon, size=size)


@lru_cache(maxsize=256)
def icon_svg(name: str, *, size: int = 16, style: str = "micro") -> SafeString:
    """An icon by name: ours, else heroicons' ("micro" or "outline").

    Raises heroicons.IconDoesNotExist for a name that neither knows.
    """
    shared = name if style == "micro" else f"{name}-{style}"
    if shared in _SHARED:
        return _svg(f'<use href="#i-{shared}"/>', size)
    if name in _SHAPES:
        return _svg(_SHAPES[name], size, _BOX)
    return _heroicon(name, style, size, **{"class": "icon"})


def _heroicon(name: str, style: str, size: int, **attributes: str) -> SafeString:
    draw = getattr(heroicons, f"heroicon_{style}")
    svg: str = draw(name, size=size, **attributes)
    return mark_safe(svg)  # noqa: S308 - drawn by heroicons from its own files


def sprite_svg() -> SafeString:
    """All shared icons, once a page; icons anywhere on it use them by "#i-name"."""
    symbols = ""
    for name in _SHARED:
        shape = _SHAPES.get(name)
        if shape is None:
            plain = name.removesuffix("-outline")
            shape = _heroicon(plain, "micro" if plain == name else "outline", 16)
        symbols += f'<symbol id="i-{name}"{_BOX}>{shape}</symbol>'
    return mark_safe(f"<svg hidden>{symbols}</svg>")  # noqa: S308 - as above
