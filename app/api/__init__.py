"""The app's functions for programs: one request, one answer, over HTTP, as Gradio endpoints and as MCP tools.

:mod:`app.api.service` answers, :mod:`app.api.answers` says with what, :mod:`app.api.errors` how it refuses.
:mod:`app.api.rest`, :mod:`app.api.tools` and :mod:`app.api.mcp_door` are three doors to the same functions.
"""
