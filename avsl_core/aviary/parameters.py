"""What a made bird and its picture are: plain values that say everything the renderer needs.

A bird is a build (the proportions of its family) and nine parts, each with a form, a texture and a palette.
A scene is everything else: pose, place, light, background, what stands in front, and the camera. Bird and
scene together determine every pixel.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from avsl_core.errors import ConfigError

__all__ = [
    "BACKGROUNDS",
    "FORMS",
    "OCCLUDERS",
    "PALETTES",
    "PARTS",
    "TEXTURES",
    "Bird",
    "Build",
    "Color",
    "Palette",
    "Part",
    "Scene",
]

Color = tuple[int, int, int]

FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coat": ("uniform", "hooded", "capped", "naped", "saddled", "flanked"),
        "tail": ("square", "rounded", "pointed", "forked", "fan", "streamer"),
        "legs": ("slender", "stout", "wader", "feathered", "webbed"),
        "breast": ("full", "bib", "band", "crescent", "wedge", "sides"),
        "throat": ("chin", "full", "gorget", "collar", "stripes", "lappet"),
        "wing": ("rounded", "pointed", "broad", "swept", "plumed"),
        "beak": ("cone", "needle", "hook", "spatula", "curve", "dagger"),
        "eye": ("plain", "ring", "brow", "stripe", "mask", "spectacle"),
        "crest": ("none", "tuft", "spike", "fan", "swept", "curl"),
    }
)
"""The forms of every part."""

PARTS: tuple[str, ...] = tuple(FORMS)
"""The parts of a bird: coat is the plumage of head, back and flanks; eye includes the mark around it."""

TEXTURES: tuple[str, ...] = ("plain", "barred", "spotted", "streaked", "iridescent")
"""Patterns that any part can carry."""

BACKGROUNDS: tuple[str, ...] = ("sky", "foliage", "water", "branch", "meadow")
"""What stands behind the bird."""

OCCLUDERS: tuple[str, ...] = ("none", "leaves", "twig", "grass")
"""What stands in front of a part of the bird."""


@dataclass(frozen=True)
class Palette:
    """The colours of one part.

    Attributes:
        base: Main colour, sRGB.
        mark: Colour of bars, spots and streaks; clearly apart from the base.
        sheen: Third colour, towards which an iridescent gradient turns.
    """

    base: Color
    mark: Color
    sheen: Color


PALETTES: Mapping[str, Palette] = MappingProxyType(
    {
        "snow": Palette((240, 238, 230), (120, 122, 128), (196, 214, 226)),
        "coal": Palette((44, 45, 52), (150, 150, 156), (62, 84, 128)),
        "slate": Palette((112, 126, 144), (48, 56, 70), (146, 176, 190)),
        "sand": Palette((214, 188, 144), (120, 84, 48), (232, 214, 170)),
        "chestnut": Palette((134, 74, 42), (58, 32, 22), (190, 116, 58)),
        "rust": Palette((194, 92, 40), (92, 36, 20), (232, 146, 60)),
        "scarlet": Palette((198, 38, 44), (84, 14, 26), (240, 104, 64)),
        "rose": Palette((226, 134, 152), (142, 52, 84), (246, 184, 170)),
        "gold": Palette((238, 190, 54), (126, 82, 18), (250, 226, 122)),
        "olive": Palette((132, 134, 62), (66, 66, 28), (176, 182, 84)),
        "leaf": Palette((72, 146, 74), (24, 70, 46), (150, 198, 74)),
        "teal": Palette((30, 136, 140), (12, 66, 80), (72, 196, 162)),
        "sky": Palette((94, 164, 218), (32, 76, 138), (140, 212, 226)),
        "royal": Palette((48, 78, 172), (20, 28, 82), (86, 146, 222)),
        "violet": Palette((124, 78, 168), (56, 30, 90), (196, 104, 178)),
    }
)
"""Colours by name; any part can wear any of them."""


@dataclass(frozen=True)
class Part:
    """How one part looks.

    Attributes:
        form: One of :data:`FORMS` of that part.
        texture: One of :data:`TEXTURES`.
        palette: One of :data:`PALETTES`.
    """

    form: str
    texture: str
    palette: str


@dataclass(frozen=True)
class Build:
    """The proportions that the species of a family share; 1 is a songbird's.

    Attributes:
        body: Length of the body.
        depth: Depth of the body for its length: below 1 slim, above 1 stout.
        head: Size of the head.
        neck: Length of the neck, 0 (none) to 3 (a heron's).
        legs: Length of the legs.
        beak: Size of the beak.
        tail: Length of the tail.
        upright: How steeply the bird holds itself, degrees from the horizontal.
    """

    body: float = 1.0
    depth: float = 1.0
    head: float = 1.0
    neck: float = 0.3
    legs: float = 1.0
    beak: float = 1.0
    tail: float = 1.0
    upright: float = 35.0


@dataclass(frozen=True)
class Bird:
    """A bird, apart from any picture of it.

    Attributes:
        build: Proportions.
        parts: One :class:`Part` for each of :data:`PARTS`.

    Raises:
        ConfigError: If a part is missing, or something is not in the vocabulary.
    """

    build: Build
    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if set(self.parts) != set(PARTS):
            raise ConfigError(f"a bird has the parts {', '.join(PARTS)}, not {', '.join(self.parts)}")
        for name, part in self.parts.items():
            _check(part.form, FORMS[name], f"form of the {name}")
            _check(part.texture, TEXTURES, f"texture of the {name}")
            _check(part.palette, tuple(PALETTES), f"palette of the {name}")
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    def with_part(self, name: str, **changes: str) -> "Bird":
        """The same bird with one part changed.

        Args:
            name: One of :data:`PARTS`.
            **changes: New ``form``, ``texture`` or ``palette``; the others stay.

        Raises:
            ConfigError: If there is no such part or look.
        """
        _check(name, PARTS, "part")
        return dataclasses.replace(
            self, parts={**self.parts, name: dataclasses.replace(self.parts[name], **changes)}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "build": dataclasses.asdict(self.build),
            "parts": {name: dataclasses.asdict(self.parts[name]) for name in PARTS},
        }


@dataclass(frozen=True)
class Scene:
    """Everything about a picture that is not the bird.

    Attributes:
        seed: Of the details of background, occluder and noise.
        facing: Where the beak points.
        size: Height of the upright bird over the picture's side, 0.4 to 0.95.
        x: Middle of the bird, share of the width, 0 to 1.
        y: Middle of the bird, share of the height, 0 to 1.
        tilt: The body leans forward by so many degrees, -20 to 20.
        nod: The head is lowered by so many degrees, -25 to 25.
        tail_lift: The tail is raised by so many degrees, -20 to 25.
        wing_lift: How far the wing is raised from the body, 0 (folded) to 1.
        light_from: Direction the light comes from, degrees, 0 right, 90 above.
        light: Strength of light and shade, 0 (flat) to 1.
        warmth: Colour of the light, -1 (blue hour) to 1 (evening sun).
        background: One of :data:`BACKGROUNDS`.
        occluder: One of :data:`OCCLUDERS`.
        cover: About how much of the bird the occluder hides, 0 to 0.35.
        blur: Standard deviation of the camera's blur over the picture's side, 0 to 0.008.
        noise: Standard deviation of the sensor's noise in 8-bit steps, 0 to 8.

    Raises:
        ConfigError: If a name is not in the vocabulary or a number out of range.
    """

    seed: int = 0
    facing: Literal["left", "right"] = "right"
    size: float = 0.72
    x: float = 0.5
    y: float = 0.52
    tilt: float = 0.0
    nod: float = 0.0
    tail_lift: float = 0.0
    wing_lift: float = 0.0
    light_from: float = 120.0
    light: float = 0.5
    warmth: float = 0.0
    background: str = "branch"
    occluder: str = "none"
    cover: float = field(default=0.15)
    blur: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        _check(self.facing, ("left", "right"), "facing")
        _check(self.background, BACKGROUNDS, "background")
        _check(self.occluder, OCCLUDERS, "occluder")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} of a scene lies in [{low}, {high}], not {value}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "size": (0.4, 0.95),
        "x": (0.0, 1.0),
        "y": (0.0, 1.0),
        "tilt": (-20.0, 20.0),
        "nod": (-25.0, 25.0),
        "tail_lift": (-20.0, 25.0),
        "wing_lift": (0.0, 1.0),
        "light": (0.0, 1.0),
        "warmth": (-1.0, 1.0),
        "cover": (0.0, 0.35),
        "blur": (0.0, 0.008),
        "noise": (0.0, 8.0),
    }
)


def _check(value: str, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        raise ConfigError(f"{what}: {value!r} is not one of {', '.join(known)}")
