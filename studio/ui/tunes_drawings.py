"""The drawn examples of the guide: what a good photo for a tune looks like, and what a bad one."""

from collections.abc import Callable, Mapping

from markupsafe import Markup

SKIN, HAIR, INK = "#e9bd95", "#5b3a29", "#33302c"
BLUE, RED, GREEN = "#3f7f9c", "#a9503f", "#5f6b3a"
WALL, SKY, CREAM, LILAC = "#dfe7e2", "#cfe3ea", "#f3ead2", "#e4dcec"


def drawn(name: str) -> Markup:
    """The example of that name, a square of 100 units. Raises KeyError."""
    wall, parts = SCENES[name]()
    return Markup('<svg viewBox="0 0 100 100" aria-hidden="true" focusable="false">{}{}</svg>').format(
        Markup(_box(0, 0, 100, 100, wall)), Markup(parts)
    )


def _oval(x: float, y: float, wide: float, high: float, fill: str) -> str:
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{wide:.1f}" ry="{high:.1f}" fill="{fill}"/>'


def _box(x: float, y: float, wide: float, high: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{fill}"/>'


def _person(x: float, y: float, size: float, *, look: float = 0, shades: bool = False, shirt: str = BLUE) -> str:
    """Head and shoulders with the middle of the face at x, y; `look` is how far it looks to the side."""
    turn, eye = look * size * 0.08, size * (0.1 if shades else 0.045)
    parts = [
        _oval(x, y + 0.78 * size, 0.52 * size, 0.42 * size, shirt),
        _oval(x, y - 0.05 * size, 0.36 * size, 0.36 * size, HAIR),
        _oval(x + turn, y + 0.04 * size, 0.265 * size, 0.3 * size, SKIN),
        *(_oval(x + side * 0.11 * size + 1.6 * turn, y, eye, eye, INK) for side in (-1, 1)),
    ]
    if shades:
        parts.append(_box(x - 0.14 * size, y - 0.03 * size, 0.28 * size, 0.035 * size, INK))
    start, wide = x - 0.1 * size + 1.4 * turn, 0.2 * size
    mouth = f"M{start:.1f} {y + 0.17 * size:.1f} q{wide / 2:.1f} {0.09 * size:.1f} {wide:.1f} 0"
    width = f"{0.03 * size:.1f}"
    parts.append(f'<path d="{mouth}" fill="none" stroke="{INK}" stroke-width="{width}" stroke-linecap="round"/>')
    return "".join(parts)


def _four_alike() -> str:
    one = _box(0, 0, 100, 100, "#b9c7bf") + _person(50, 44, 84)
    places = ((2, 2), (52, 2), (2, 52), (52, 52))
    return "".join(f'<g transform="translate({x} {y}) scale(.46)">{one}</g>' for x, y in places)


WINDOW = _box(6, 10, 26, 34, "#fffbe8") + '<path d="M19 10v34M6 27h26" stroke="#c9c2a4" stroke-width="2"/>'
TREE = _box(78, 52, 6, 36, "#7a5c43") + _oval(81, 42, 19, 19, "#6f9f6a")
HILLS = '<path d="M0 78 Q28 52 55 74 T100 66 V100 H0z" fill="#86a97d"/>'
NIGHT = '<rect width="100" height="100" fill="#14171c" opacity=".82"/>'

SCENES: Mapping[str, Callable[[], tuple[str, str]]] = {
    "close": lambda: (WALL, _person(50, 44, 88)),
    "half": lambda: (SKY, TREE + _person(42, 36, 46)),
    "light": lambda: (CREAM, WINDOW + _person(58, 46, 74, shirt=RED)),
    "side": lambda: (LILAC, _person(50, 44, 84, look=1, shirt=GREEN)),
    "sunglasses": lambda: (WALL, _person(50, 44, 88, shades=True)),
    "several": lambda: (WALL, _person(28, 50, 52, shirt=RED) + _person(72, 46, 56)),
    "dark": lambda: (WALL, _person(50, 44, 88) + NIGHT),
    "far": lambda: (SKY, HILLS + _person(60, 66, 13)),
    "cut": lambda: (WALL, _person(84, 34, 96)),
    "same": lambda: (WALL, _four_alike()),
}
"""By name the wall behind and what is before it."""
