"""The functions over plain HTTP: multipart forms in, JSON out, made for curl."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import Json
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Message, Receive

from app.api import answers
from app.api.docs_page import docs_html
from app.api.errors import CODES, refusal_of
from app.api.pictures import Intake, intake
from app.api.service import Fraction, Regions, ReportKind, Service
from app.work.workbench import PictureFile
from avsl_core.explain.region import Side
from avsl_core.images.paint import Fill

__all__ = ["PREFIX", "router"]

PREFIX = "/api/v1"
"""Where all addresses begin."""

Picture = Annotated[UploadFile, File(description="A picture, as a file.")]
Pictures = Annotated[list[UploadFile], File(description="Pictures, as files: the field once for each.")]
ModelField = Annotated[
    str, Form(description="Name of a model or of a method, as `models` lists them; empty for the app's own.")
]


def router(service: Service, pages: Sequence[tuple[str, str]] = (), root_path: str = "") -> APIRouter:
    """All addresses, to be included in an app.

    Args:
        service: What answers.
        pages: Address within the site and title of each of its pages, to which the page for people leads.
        root_path: Path under which the site is served.
    """
    limits = service.limits
    api = APIRouter(
        prefix=PREFIX,
        route_class=_careful_route(limits.request_bytes),
        responses=_refusals(),
        default_response_class=JSONResponse,
    )

    @api.get("/models", response_model=answers.ModelList)
    def models() -> Response:
        """The models that may be asked for."""
        return _json(service.models())

    @api.get("/galleries", response_model=answers.GalleryList)
    def galleries() -> Response:
        """The galleries that may be searched."""
        return _json(service.galleries())

    @api.post("/compare", response_model=answers.Compared)
    def compare(
        a: Picture,
        b: Picture,
        model: ModelField = "",
        maps: Annotated[bool, Form(description="Whether to give each part's map over both.")] = False,
    ) -> Response:
        """How far apart two pictures look, in words and numbers, and what the distance is made of."""
        with intake(limits.picture_bytes) as taking:
            return _json(service.compare(_taken(taking, a), _taken(taking, b), model, maps=maps))

    @api.post("/compare_many", response_model=answers.ComparedMany)
    def compare_many(pictures: Pictures, model: ModelField = "") -> Response:
        """The distances between all of several pictures, 2 to 50."""
        service.check_count(len(pictures))
        with intake(limits.picture_bytes) as taking:
            return _json(service.compare_many([_taken(taking, picture) for picture in pictures], model))

    @api.post("/search", response_model=answers.Searched)
    def search(
        picture: Picture,
        gallery: Annotated[str, Form(description="Key of the gallery, as `galleries` lists it.")],
        k: Annotated[int, Form(description="How many to find.", ge=1, le=limits.neighbours)] = 10,
    ) -> Response:
        """The pictures of a gallery that look most like a given one, nearest first."""
        with intake(limits.picture_bytes) as taking:
            return _json(service.search(gallery, _taken(taking, picture), k))

    @api.post("/region", response_model=answers.RegionAnswer)
    def region(
        a: Picture,
        b: Picture,
        x: Annotated[Fraction, Form(description="Left edge of the region, as a fraction of the width.")],
        y: Annotated[Fraction, Form(description="Upper edge, as a fraction of the height.")],
        width: Annotated[Fraction, Form(description="As a fraction.")],
        height: Annotated[Fraction, Form(description="As a fraction.")],
        side: Annotated[Side, Form(description="On the first or the second picture.")] = "a",
        model: ModelField = "",
    ) -> Response:
        """What a region of one picture comes to, and where in the other its counterpart lies."""
        with intake(limits.picture_bytes) as taking:
            box = answers.Box(x, y, width, height)
            return _json(service.region(_taken(taking, a), _taken(taking, b), box, side, model))

    @api.post("/what_if", response_model=answers.WhatIfAnswer)
    def what_if(
        a: Picture,
        b: Picture,
        side: Annotated[Side, Form(description="On which picture to paint.")],
        regions: Annotated[
            Json[Regions], Form(description="What to paint over, as JSON: [[x, y, width, height], ...].")
        ],
        model: ModelField = "",
        fill: Annotated[Fill, Form(description="What lies there afterwards.")] = "surroundings",
    ) -> Response:
        """How far apart two pictures would be if a part of one were not there: painted over and measured."""
        with intake(limits.picture_bytes) as taking:
            boxes = [answers.Box(*region) for region in regions]
            first, second = _taken(taking, a), _taken(taking, b)
            return _json(service.what_if(first, second, side, boxes, model, fill=fill))

    @api.post("/report", response_class=Response, responses={200: {"content": _FILES}})
    def report(
        a: Picture,
        b: Picture,
        model: ModelField = "",
        kind: Annotated[ReportKind, Form(description="A page, one picture, or every number.")] = "html",
    ) -> Response:
        """A whole comparison as one file: a page to read and print, a picture, or all numbers as JSON."""
        with intake(limits.picture_bytes) as taking:
            file = service.report(_taken(taking, a), _taken(taking, b), model, kind)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
        return Response(file.data, media_type=file.type, headers=headers)

    @api.post("/pictures", response_model=answers.Kept)
    def pictures(picture: Picture) -> Response:
        """Keep a picture for some hours, so that tools which cannot send files can be given its key."""
        with intake(limits.picture_bytes) as taking:
            return _json(service.keep_picture(_taken(taking, picture)))

    _add_descriptions(api, pages, root_path)
    return api


def _add_descriptions(api: APIRouter, pages: Sequence[tuple[str, str]], root_path: str) -> None:
    """The schema, a page that shows it, and what else is asked for below the prefix."""
    schema: dict[str, Any] = {}

    def described() -> dict[str, Any]:
        if not schema:
            routes = [route for route in api.routes if getattr(route, "include_in_schema", False)]
            schema.update(
                get_openapi(
                    title="AVSL",
                    version=answers.API_VERSION,
                    summary="How alike are two pictures, and why?",
                    routes=routes,
                )
            )
        return schema

    @api.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return JSONResponse(described())

    @api.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        address = f"{request.url.scheme}://{request.url.netloc}{root_path}"
        return HTMLResponse(docs_html(described(), address, pages))

    @api.api_route("/{address:path}", methods=_VERBS, include_in_schema=False)
    def nothing_here(address: str, request: Request) -> Response:
        known = {
            route.path.removeprefix(PREFIX): route for route in api.routes if isinstance(route, APIRoute)
        }
        route = known.get(f"/{address}")
        if route is None or "{" in route.path:
            raise HTTPException(404, f"there is nothing here; {PREFIX}/docs lists what there is")
        verbs = ", ".join(sorted(route.methods or ()))
        raise HTTPException(405, f"{request.method}: use {verbs} here", {"Allow": verbs})


_FILES: dict[str, dict[str, Any]] = {kind: {} for kind in ("text/html", "image/png", "application/json")}
_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _json(answer: Any) -> Response:
    return JSONResponse(answers.as_json(answer))


def _taken(taking: Intake, upload: UploadFile) -> PictureFile:
    return taking.stream(upload.file, upload.filename, upload.size)


def _refusals() -> dict[int | str, dict[str, Any]]:
    """What the schema says of each status that refuses."""
    statuses: dict[int, list[str]] = {}
    for code, (status, meaning) in CODES.items():
        statuses.setdefault(status, []).append(f"`{code}`: {meaning}")
    return {
        status: {"model": answers.ErrorAnswer, "description": "; ".join(words)}
        for status, words in sorted(statuses.items())
    }


def _careful_route(most: int) -> type[APIRoute]:
    """Routes that answer whatever goes wrong in the one stable form, and read no more than so many bytes."""

    class CarefulRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def careful(request: Request) -> Response:
                try:
                    response = await handle(Request(request.scope, _bounded(request, most)))
                except Exception as error:
                    refusal = refusal_of(error)
                    response = JSONResponse(
                        refusal.content, status_code=refusal.status, headers=dict(refusal.headers)
                    )
                response.headers["AVSL-API-Version"] = answers.API_VERSION
                return response

            return careful

    return CarefulRoute


def _bounded(request: Request, most: int) -> Receive:
    """The request's body, as long as it is no longer than it may be."""
    too_much = HTTPException(413, f"the request weighs more than the {most / 2**20:.3g} MB that it may")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > most:
        raise too_much
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > most:
            raise too_much
        return message

    return receive
