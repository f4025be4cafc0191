"""The doors for programs that an app of FastAPI opens; those of Gradio are opened within its Blocks."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.rest import PREFIX, router
from app.api.service import Service

__all__ = ["MCP_PATH", "PREFIX", "add_doors"]

MCP_PATH = "/mcp"
"""Where the tools are."""


def add_doors(
    site: FastAPI, service: Service, pages: Sequence[tuple[str, str]] = (), root_path: str = ""
) -> None:
    """Answer below `PREFIX` and at `MCP_PATH`; to be called before Gradio is mounted, which takes the rest.

    Args:
        site: The app.
        service: What answers.
        pages: Address within the site and title of each of its pages.
        root_path: Path under which the site is served.
    """
    site.include_router(router(service, pages, root_path))
    site.router.routes.append(Route(MCP_PATH, _LateMcpDoor(service), include_in_schema=False))


class _LateMcpDoor:
    """Opens when somebody knocks: the package of its protocol would make every start longer."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    @cached_property
    def _door(self) -> Any:
        from app.api.mcp_door import McpDoor

        return McpDoor(self._service)
