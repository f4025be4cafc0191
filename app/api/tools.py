"""The functions as tools: named endpoints for gradio_client, and the same list for MCP."""

import base64
import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import gradio as gr
from gradio import FileData
from pydantic import BaseModel, ConfigDict, Field, create_model

from app.api import answers
from app.api.errors import refusal_of
from app.api.pictures import intake
from app.api.service import Fraction, Regions, ReportKind, Service
from app.work.events import SHARED_QUEUE
from avsl_core.explain.region import Side
from avsl_core.images.paint import Fill

__all__ = ["Tool", "add_tools", "list_tools"]

Answer = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """One function for programs.

    Attributes:
        name: Stable.
        function: Typed and documented; takes plain values, pictures as Gradio's file data or as text.
        answer: What its answer holds.
    """

    name: str
    function: Callable[..., Answer]
    answer: type

    def arguments(self, picture: Any = Any) -> type[BaseModel]:
        """What the function takes, as a model that checks it.

        Args:
            picture: The kind of a picture.
        """
        hints = get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            kind = {FileData: picture, list[FileData]: list[picture]}.get(hints[name], hints[name])
            fields[name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
        config = ConfigDict(extra="forbid", title=self.name)
        model: type[BaseModel] = create_model(self.name, __config__=config, **fields)
        return model

    def call(self, arguments: dict[str, Any], picture: Any = Any) -> Answer:
        """Check the arguments and answer.

        Raises:
            ValidationError: If they are not what the function takes.
            AvslError: As the function says.
        """
        checked = self.arguments(picture)(**arguments)
        return self.function(**{name: getattr(checked, name) for name in type(checked).model_fields})


def add_tools(service: Service) -> None:
    """Add every tool to the current Blocks as a named endpoint; all other events of the pages stay private.

    Args:
        service: What answers.
    """
    for tool in list_tools(service):
        gr.api(_as_endpoint(tool), api_name=tool.name, **SHARED_QUEUE)


def list_tools(service: Service) -> list[Tool]:
    """All tools.

    Args:
        service: What answers.
    """
    limits = service.limits
    taking = functools.partial(intake, limits.picture_bytes, service.keep)

    def models() -> Answer:
        """List the models that may be asked for, with the method of each and what its account shows."""
        return answers.as_json(service.models())

    def galleries() -> Answer:
        """List the galleries that may be searched."""
        return answers.as_json(service.galleries())

    def compare(a: FileData, b: FileData, model: str = "", maps: bool = False) -> Answer:
        """How far apart two pictures look, in words and numbers, and what the distance is made of.

        Args:
            a: First picture.
            b: Second picture.
            model: Name of a model or of a method, as models lists them; empty for the app's own.
            maps: Whether to give each part's map over both pictures.
        """
        with taking() as given:
            first, second = given.payload("a", a), given.payload("b", b)
            return answers.as_json(service.compare(first, second, model, maps=maps))

    def compare_many(pictures: list[FileData], model: str = "") -> Answer:
        """The distances between all of several pictures.

        Args:
            pictures: Two or more, at most 50.
            model: Name of a model or of a method, as models lists them; empty for the app's own.
        """
        service.check_count(len(pictures))
        with taking() as given:
            files = [given.payload(f"pictures.{i}", picture) for i, picture in enumerate(pictures)]
            return answers.as_json(service.compare_many(files, model))

    def search(
        gallery: str, picture: FileData, k: Annotated[int, Field(ge=1, le=limits.neighbours)] = 10
    ) -> Answer:
        """The pictures of a gallery that look most like a given one, nearest first.

        Args:
            gallery: Key of the gallery, as galleries lists it.
            picture: What to look for.
            k: How many to find.
        """
        with taking() as given:
            return answers.as_json(service.search(gallery, given.payload("picture", picture), k))

    def region(
        a: FileData,
        b: FileData,
        x: Fraction,
        y: Fraction,
        width: Fraction,
        height: Fraction,
        side: Side = "a",
        model: str = "",
    ) -> Answer:
        """What a region of one picture comes to, and where in the other picture its counterpart lies.

        Args:
            a: First picture.
            b: Second picture.
            x: Left edge of the region, as a fraction of the width of the square that the model saw.
            y: Upper edge, as a fraction of the height.
            width: As a fraction.
            height: As a fraction.
            side: On the first or the second picture.
            model: Name of a model or of a method, as models lists them; empty for the app's own.
        """
        with taking() as given:
            first, second = given.payload("a", a), given.payload("b", b)
            box = answers.Box(x, y, width, height)
            return answers.as_json(service.region(first, second, box, side, model))

    def what_if(
        a: FileData, b: FileData, side: Side, regions: Regions, model: str = "", fill: Fill = "surroundings"
    ) -> Answer:
        """How far apart two pictures would be if a part of one were not there: painted over and measured.

        Args:
            a: First picture.
            b: Second picture.
            side: On which picture to paint.
            regions: What to paint over: x, y, width and height of each rectangle, as fractions.
            model: Name of a model or of a method, as models lists them; empty for the app's own.
            fill: What lies there afterwards.
        """
        with taking() as given:
            first, second = given.payload("a", a), given.payload("b", b)
            boxes = [answers.Box(*region) for region in regions]
            return answers.as_json(service.what_if(first, second, side, boxes, model, fill=fill))

    def report(a: FileData, b: FileData, model: str = "", kind: ReportKind = "html") -> Answer:
        """A whole comparison as one file: a page to read and print, a picture, or all numbers as JSON.

        Args:
            a: First picture.
            b: Second picture.
            model: Name of a model or of a method, as models lists them; empty for the app's own.
            kind: html for the page, png for the picture, json for the numbers.
        """
        with taking() as given:
            file = service.report(given.payload("a", a), given.payload("b", b), model, kind)
        is_text = not file.type.startswith("image/")
        content = file.data.decode() if is_text else base64.b64encode(file.data).decode()
        encoding = "text" if is_text else "base64"
        return answers.as_json(answers.Report(file.name, file.type, encoding, content))

    return [
        Tool("models", models, answers.ModelList),
        Tool("galleries", galleries, answers.GalleryList),
        Tool("compare", compare, answers.Compared),
        Tool("compare_many", compare_many, answers.ComparedMany),
        Tool("search", search, answers.Searched),
        Tool("region", region, answers.RegionAnswer),
        Tool("what_if", what_if, answers.WhatIfAnswer),
        Tool("report", report, answers.Report),
    ]


def _as_endpoint(tool: Tool) -> Callable[..., Answer]:
    """The function as Gradio calls it: by position, and with errors in the stable form."""
    names = list(inspect.signature(tool.function).parameters)

    @functools.wraps(tool.function)
    def endpoint(*values: Any) -> Answer:
        try:
            return tool.call(dict(zip(names, values, strict=False)))
        except Exception as error:
            raise gr.Error(json.dumps(refusal_of(error).content), print_exception=False) from error

    return endpoint
