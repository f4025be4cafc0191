"""The answers of the interfaces, word for word: what these classes say is what callers may rely on.

One definition serves all doors, and their published schemas are made from it. Within a version fields may be
added; none is renamed, removed or changed in meaning.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import to_jsonable_python

__all__ = [
    "API_VERSION",
    "Box",
    "Compared",
    "ComparedMany",
    "Component",
    "ErrorAnswer",
    "ErrorDetail",
    "GalleryEntry",
    "GalleryList",
    "Kept",
    "Model",
    "ModelList",
    "Neighbour",
    "RegionAnswer",
    "Report",
    "Searched",
    "VerdictWords",
    "WhatIfAnswer",
    "as_json",
    "schema_of",
]

API_VERSION = "1.0"
"""Of the answers' schema."""

_GRADES = ["very alike", "alike", "in between", "different", "very different", "unknown"]

Distance = Annotated[
    float,
    Field(description="How far apart the pictures look; smaller is closer. Every model has its own scale."),
]
Grid = Annotated[
    list[list[float]],
    Field(
        description="Rows from top to bottom over the square of the picture that the model saw, in units of "
        "the distance: positive cells push the pictures apart, negative cells pull them together."
    ),
]
Method = Annotated[str, Field(description="How the model measures, for instance `avsl`.")]
ModelName = Annotated[str, Field(description="Name of the model, as `models` lists it.")]
PartName = Annotated[str, Field(description="Stable name of a part of the distance, such as `level1`.")]
PictureName = Annotated[str, Field(description="What the picture was called when it was given.")]
Share = Annotated[float, Field(description="Part of the distance: 1 is all of it, below 0 pulls together.")]
Side = Annotated[
    str, Field(description="On the first or the second picture.", json_schema_extra={"enum": ["a", "b"]})
]
Version = Annotated[str, Field(description="Of the answers' schema.")]


@dataclass(frozen=True)
class VerdictWords:
    """A distance in words."""

    words: Annotated[str, Field(description="The grade as a heading.")]
    sentence: Annotated[str, Field(description="What it rests on, in one sentence.")]
    grade: Annotated[
        str,
        Field(
            description="One of five steps, by the pairs the model was tested with; `unknown` without.",
            json_schema_extra={"enum": list(_GRADES)},
        ),
    ]


@dataclass(frozen=True)
class Component:
    """One named part of a distance."""

    name: PartName
    title: Annotated[str, Field(description="The part in words.")]
    gloss: Annotated[str, Field(description="What it is, in a few words.")]
    value: Annotated[float, Field(description="What it adds to the distance, in units of the distance.")]
    share: Share
    map_a: Annotated[
        Grid | None, Field(description="Over the first picture, if maps were asked for; else null.")
    ] = None
    map_b: Annotated[
        Grid | None,
        Field(description="Over the second picture. The cells of both maps add up to the part's value."),
    ] = None


@dataclass(frozen=True)
class Compared:
    """How far apart two pictures look, and what that is made of: components plus residual is the distance."""

    model: ModelName
    method: Method
    a: PictureName
    b: PictureName
    distance: Distance
    verdict: VerdictWords
    components: Annotated[list[Component], Field(description="From low to high in the network.")]
    residual: Annotated[float, Field(description="What the components leave unexplained.")]
    exact: Annotated[bool, Field(description="Whether the residual is zero by construction.")]
    version: Version = API_VERSION


@dataclass(frozen=True)
class ComparedMany:
    """The distances between several pictures."""

    model: ModelName
    method: Method
    names: Annotated[list[PictureName], Field(description="The pictures in the order given.")]
    distances: Annotated[
        list[list[float]],
        Field(
            description="Row i, column j: from picture i to picture j; smaller is closer. Every model has "
            "its own scale, and some measure otherwise from j to i."
        ),
    ]
    symmetric: Annotated[bool, Field(description="Whether both directions of every pair are equal.")]
    order: Annotated[
        list[int],
        Field(description="The pictures by their place, so that those that group together are neighbours."),
    ]
    version: Version = API_VERSION


@dataclass(frozen=True)
class Box:
    """A rectangle on the square of a picture that the model saw: its middle, or all of it if it is square."""

    x: Annotated[float, Field(description="Left edge, as a fraction of the width.", ge=0, le=1)]
    y: Annotated[float, Field(description="Upper edge, as a fraction of the height.", ge=0, le=1)]
    width: Annotated[float, Field(description="As a fraction.", ge=0, le=1)]
    height: Annotated[float, Field(description="As a fraction.", ge=0, le=1)]


@dataclass(frozen=True)
class RegionAnswer:
    """What a region of one picture comes to, and where in the other its counterpart lies."""

    model: ModelName
    method: Method
    side: Side
    likeness: Annotated[
        float,
        Field(
            description="What the region has in common with all of the other picture; below 0 contradicts."
        ),
    ]
    share: Annotated[float, Field(description="Of all that the two have in common: 1 is all of it.")]
    distance: Annotated[
        float, Field(description="What the region adds to the distance; below 0 where it pulls together.")
    ]
    counterpart: Annotated[Box, Field(description="The cell of the other picture that answers most.")]
    map: Annotated[
        list[list[float]],
        Field(description="Rows of the other picture's cells; the cells add up to the likeness."),
    ]
    version: Version = API_VERSION


@dataclass(frozen=True)
class WhatIfAnswer:
    """A pair as it is, and with a part of one picture painted over."""

    model: ModelName
    method: Method
    side: Side
    covered: Annotated[float, Field(description="Share of the picture that was painted over.", gt=0, lt=1)]
    distance: Annotated[float, Field(description="Of the pair as it is.")]
    painted: Annotated[float, Field(description="Measured again with the part painted over.")]
    change: Annotated[float, Field(description="Above 0 where the pair is farther apart without the part.")]
    predicted: Annotated[float, Field(description="What could be foretold without measuring again.")]
    attributed: Annotated[float, Field(description="What the account of the pair as it is puts there.")]
    version: Version = API_VERSION


@dataclass(frozen=True)
class Neighbour:
    """A picture of a gallery that was found."""

    rank: Annotated[int, Field(description="1 is the nearest.", ge=1)]
    name: Annotated[str, Field(description="Its file's name within the gallery.")]
    class_name: Annotated[str | None, Field(description="Its class, if the gallery knows it.")]
    distance: Distance
    decided_by: Annotated[
        str,
        Field(description="The part that brings it closest, compared with a typical pair of the gallery."),
    ]
    parts: Annotated[
        dict[str, float], Field(description="The distance's parts by name; they add up to the distance.")
    ]


@dataclass(frozen=True)
class Searched:
    """The pictures of a gallery that look most like a given one."""

    gallery: Annotated[str, Field(description="Key of the gallery, as `galleries` lists it.")]
    model: ModelName
    method: Method
    picture: PictureName
    neighbours: Annotated[list[Neighbour], Field(description="Nearest first.")]
    searched: Annotated[int, Field(description="Pictures that could have been found.", ge=0)]
    version: Version = API_VERSION


@dataclass(frozen=True)
class Model:
    """A model that may be asked for."""

    name: ModelName
    method: Method
    title: Annotated[str, Field(description="The model in a list for people.")]
    shows: Annotated[str, Field(description="What its account shows, in one sentence.")]
    default: Annotated[bool, Field(description="Whether it answers where no model is named.")]


@dataclass(frozen=True)
class ModelList:
    """The models that may be asked for."""

    models: Annotated[list[Model], Field(description="The one that answers by itself first.")]
    version: Version = API_VERSION


@dataclass(frozen=True)
class GalleryEntry:
    """A gallery that may be searched."""

    key: Annotated[str, Field(description="What requests call it.")]
    title: Annotated[str, Field(description="What people call it.")]


@dataclass(frozen=True)
class GalleryList:
    """The galleries that may be searched."""

    galleries: Annotated[list[GalleryEntry], Field(description="The one that comes along first.")]
    version: Version = API_VERSION


@dataclass(frozen=True)
class Report:
    """A whole comparison as one file."""

    name: Annotated[str, Field(description="What the file is called.")]
    media_type: Annotated[str, Field(description="`text/html`, `image/png` or `application/json`.")]
    encoding: Annotated[
        str,
        Field(description="How the content is written.", json_schema_extra={"enum": ["text", "base64"]}),
    ]
    content: Annotated[str, Field(description="The file: text, or base64 of its bytes for a picture.")]
    version: Version = API_VERSION


@dataclass(frozen=True)
class Kept:
    """A picture that tools can be given by its key."""

    key: Annotated[str, Field(description="Stands for the picture wherever a tool takes one.")]
    name: PictureName
    hours: Annotated[float, Field(description="How long it is kept, in hours from now.", gt=0)]
    version: Version = API_VERSION


@dataclass(frozen=True)
class ErrorDetail:
    """What went wrong."""

    code: Annotated[str, Field(description="Stable; programs may branch on it.")]
    message: Annotated[str, Field(description="What is wrong and what to do, for people.")]


@dataclass(frozen=True)
class ErrorAnswer:
    """Why a request was not answered."""

    error: ErrorDetail


def as_json(answer: Any) -> dict[str, Any]:
    """An answer as plain values, ready to be written as JSON; numbers keep every digit.

    Example:
        >>> as_json(GalleryList([GalleryEntry("demo", "Made birds")]))
        {'galleries': [{'key': 'demo', 'title': 'Made birds'}], 'version': '1.0'}
    """
    values: dict[str, Any] = to_jsonable_python(answer)
    return values


def schema_of(kind: type) -> dict[str, Any]:
    """The JSON schema of an answer."""
    return TypeAdapter(kind).json_schema(mode="serialization")
