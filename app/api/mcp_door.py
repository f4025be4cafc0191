"""The tools for programs that speak the Model Context Protocol, at one address.

Gradio has an MCP server of its own. It is not used: its tools ask for addresses of the net, which it fetches,
and it answers by asking itself over HTTP at the address that the caller's ``Host`` header names, with no look
at the certificate. Here a call is one request and one answer, with no session to keep, so that it may go to
any worker.
"""

import functools
import json
from typing import Annotated, Any

import anyio.to_thread
from gradio.utils import get_function_description
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from mcp.types import Tool as McpTool
from pydantic import Field
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.api.answers import API_VERSION, schema_of
from app.api.errors import Refusal, RequestError, refusal_of
from app.api.service import Service
from app.api.tools import Tool, list_tools

__all__ = ["McpDoor"]

_NAME = "avsl"
_INSTRUCTIONS = (
    "How alike are two pictures, and why? Distances are comparable within one model only; smaller is closer. "
    "Give pictures as data: addresses, or send a file to /api/v1/pictures and give the key of the answer."
)
_PICTURE = Annotated[
    str,
    Field(description="A picture: a data: address in base64, or the key that /api/v1/pictures gave."),
]


class McpDoor:
    """An ASGI application that answers MCP over HTTP; needs no start and no end.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._most = service.limits.request_bytes
        self._server = _server(list_tools(service))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of HTTP."""
        if scope["method"] != "POST":  # no stream is kept open, and there is no session to end
            refusal = Refusal("wrong_verb", "MCP clients POST their requests here; see /api/v1/docs")
            answer = JSONResponse(refusal.content, status_code=405, headers={"Allow": "POST"})
            await answer(scope, receive, send)
            return
        # One for each request: so nothing has to run before the first one, or be stopped after the last.
        manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=self._most
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)


def _server(tools: list[Tool]) -> Server[Any, Any]:
    server: Server[Any, Any] = Server(_NAME, version=API_VERSION, instructions=_INSTRUCTIONS)
    described = [_described(tool) for tool in tools]
    by_name = {tool.name: tool for tool in tools}

    async def listed() -> list[McpTool]:
        return described

    async def called(name: str, arguments: dict[str, Any]) -> CallToolResult:
        try:
            tool = by_name.get(name)
            if tool is None:
                raise RequestError("unknown_address", f"no such tool; there are {', '.join(by_name)}")
            answer = await anyio.to_thread.run_sync(functools.partial(tool.call, arguments, _PICTURE))
        except Exception as error:
            return _result(refusal_of(error).content, is_error=True)
        return _result(answer)

    server.list_tools()(listed)  # type: ignore[no-untyped-call]
    server.call_tool(validate_input=False)(called)  # ours says no in the stable form
    return server


def _described(tool: Tool) -> McpTool:
    words, parameters, _ = get_function_description(tool.function)
    schema = tool.arguments(_PICTURE).model_json_schema()
    for name, value in schema["properties"].items():
        value.setdefault("description", parameters.get(name, ""))
        value.pop("title", None)
    return McpTool(
        name=tool.name,
        description=words,
        inputSchema=schema,
        outputSchema=schema_of(tool.answer),
        annotations=ToolAnnotations(readOnlyHint=True, idempotentHint=True, openWorldHint=False),
    )


def _result(content: dict[str, Any], *, is_error: bool = False) -> CallToolResult:
    text = TextContent(type="text", text=json.dumps(content))
    return CallToolResult(content=[text], structuredContent=None if is_error else content, isError=is_error)
