"""The EHR's style as a stylesheet of our own: strict values, clamped, readable.

What does not fit the grammar, or would make text or controls hard to read, is left out
by name. Nothing of the EHR's text gets into the sheet but checked numbers, colours and
names of fonts. Source: SMART App Launch 2.2, smart_style_url; WCAG 2.2, 1.4.3, 1.4.11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COLOUR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
TRIPLE = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)\Z")
PIXELS = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)(?:px)?\Z")
FONT = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,40}\Z")
GENERIC = frozenset({"serif", "sans-serif", "monospace", "system-ui", "ui-sans-serif"})
COLOURS = (
    "color_background",
    "color_text",
    "color_highlight",
    "color_error",
    "color_success",
)
FONT_SIZE, RADIUS = (13.0, 18.0), (0.0, 10.0)
# Body text is .875 of the root's size.
BODY = 0.875
TEXT, CONTROL = 4.5, 3.0
LIGHTEST = 1.3
# The light tokens of look.css: where the EHR gives colours, all go together.
LIGHT = {
    "paper": "#f4f5f2",
    "sheet": "#ffffff",
    "sunk": "#eceeea",
    "night": "#d3d9dd",
    "ink": "#14201f",
    "ink-2": "#46544f",
    "ink-3": "#5d6a65",
    "line": "#d6dad5",
    "line-2": "#7d8a84",
    "accent": "#0a5a57",
    "accent-ink": "#ffffff",
    "accent-wash": "#e2efec",
    "ok": "#17663a",
    "ok-wash": "#e3f1e7",
    "warn": "#7d4d00",
    "warn-wash": "#fbefd6",
    "stop": "#a01f1a",
    "stop-wash": "#fae6e3",
    "info": "#1f4c86",
    "info-wash": "#e4ecf7",
    "focus": "#14201f",
    "focus-halo": "#ffd23f",
}
# Backgrounds on which a token's text stands, and those that a control is seen against.
ON = {
    "ink": ("sheet", "paper", "sunk"),
    "ink-2": ("sheet", "paper", "sunk"),
    "ink-3": ("sheet", "paper"),
    "accent": ("sheet", "paper", "accent-wash"),
    "accent-ink": ("accent",),
    "ok": ("sheet", "paper", "ok-wash"),
    "warn": ("sheet", "paper"),
    "stop": ("sheet", "paper", "stop-wash"),
    "info": ("sheet", "paper"),
}
SEEN = {"line-2": ("sheet",), "focus": ("sheet", "paper")}


@dataclass(frozen=True)
class Theme:
    """A stylesheet, and the members of the EHR's style that it leaves out."""

    css: str
    left_out: tuple[str, ...]


def write_theme(style: Mapping[str, Any]) -> Theme:
    """Return what may be taken over of a SMART style."""
    colours, left_out = _choose_colours(style)
    rules = []
    if colours != LIGHT:
        tokens = "".join(f"--{name}:{value};" for name, value in colours.items())
        rules.append(f":root{{color-scheme:light;{tokens}}}")
    for name, write in (
        ("dim_font_size", _write_size),
        ("dim_border_radius", _write_radius),
        ("font_family_body", _write_font),
    ):
        if name not in style:
            continue
        rule = write(style[name])
        if rule is None:
            left_out.append(name)
        else:
            rules.append(rule)
    media = (
        "@media screen and (forced-colors:none) and (prefers-contrast:no-preference)"
    )
    css = f"{media}{{{''.join(rules)}}}\n" if rules else ""
    return Theme(css, tuple(left_out))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def read_colour(value: Any) -> str | None:
    """Return ``#rrggbb`` for a colour in hex or rgb(); None for anything else."""
    text = value.strip() if isinstance(value, str) else ""
    if COLOUR.match(text):
        digits = text[1:].lower()
        whole = digits if len(digits) == 6 else "".join(each * 2 for each in digits)
        return f"#{whole}"
    match = TRIPLE.match(text)
    parts = [int(part) for part in match.groups()] if match else [256]
    return "#{:02x}{:02x}{:02x}".format(*parts) if max(parts) < 256 else None


def _choose_colours(style: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Take one colour after the other, each only if everything stays readable."""
    chosen, left_out = dict(LIGHT), []
    for name in COLOURS:
        changes = _changes(name, style, chosen)
        if changes is not None:
            chosen = changes
        elif name in style:
            left_out.append(name)
    return chosen, left_out


def _changes(
    name: str, style: Mapping[str, Any], chosen: dict[str, str]
) -> dict[str, str] | None:
    colour = read_colour(style.get(name))
    if colour is None:
        return None
    tried = dict(chosen)
    if name == "color_background":
        # Cards stay white on a light ground: what belongs together is seen.
        light = contrast("#ffffff", colour) <= LIGHTEST
        tried |= {"paper": colour, "sheet": "#ffffff" if light else colour}
    elif name == "color_text":
        tried["ink"] = colour
    elif name == "color_highlight":
        tried["accent"] = colour
        tried["accent-ink"] = max(
            ("#ffffff", "#14201f"), key=lambda ink: contrast(ink, colour)
        )
    else:
        tried["stop" if name == "color_error" else "ok"] = colour
    return tried if _is_readable(tried) else None


def _is_readable(tokens: Mapping[str, str]) -> bool:
    texts = all(
        contrast(tokens[name], tokens[ground]) >= TEXT
        for name, grounds in ON.items()
        for ground in grounds
    )
    return texts and all(
        contrast(tokens[name], tokens[ground]) >= CONTROL
        for name, grounds in SEEN.items()
        for ground in grounds
    )


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _read_pixels(value: Any, limits: tuple[float, float]) -> float | None:
    match = PIXELS.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    return min(max(float(match[1]), limits[0]), limits[1])


def _write_size(value: Any) -> str | None:
    pixels = _read_pixels(value, FONT_SIZE)
    return None if pixels is None else f"html{{font-size:{pixels / BODY:.2f}px}}"


def _write_radius(value: Any) -> str | None:
    pixels = _read_pixels(value, RADIUS)
    return None if pixels is None else f":root{{--r:{pixels:g}px}}"


def _write_font(value: Any) -> str | None:
    text = value if isinstance(value, str) and len(value) <= 300 else ""
    names = [part.strip().strip("\"'").strip() for part in text.split(",")]
    if not names or not all(FONT.match(name) for name in names):
        return None
    quoted = [name if name in GENERIC else f'"{name}"' for name in names]
    return f":root{{--font:{','.join(quoted)},system-ui,sans-serif}}"
