"""A page for people about the addresses, made from their schema; it needs nothing from anywhere."""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from app.look.plain import plain_css

__all__ = ["docs_html"]

_SHEET = Path(__file__).with_name("docs.css")
_CLIENT = """
from gradio_client import Client, handle_file

client = Client("ADDRESS", verbose=False)
answer = client.predict(a=handle_file("one.jpg"), b=handle_file("two.jpg"), api_name="/compare")
print(answer["verdict"]["words"], answer["distance"])
"""
_MCP = """{"mcpServers": {"avsl": {"type": "http", "url": "ADDRESS/mcp"}}}"""


def docs_html(schema: Mapping[str, Any], address: str, pages: Sequence[tuple[str, str]] = ()) -> str:
    """Every address with its fields and its answer, for curl; and how other programs find the same functions.

    Args:
        schema: An OpenAPI schema.
        address: Of the site, as its visitors write it, without a slash at its end.
        pages: Address within the site and title of each page of the site.
    """
    info = schema["info"]
    operations = [
        (verb.upper(), path, operation)
        for path, verbs in schema["paths"].items()
        for verb, operation in verbs.items()
    ]
    contents = "".join(
        f'<li><a href="#{_anchor(path)}"><code>{escape(path.rpartition("/")[2])}</code></a></li>'
        for _, path, _ in operations
    )
    sheet = _SHEET.read_text(encoding="utf-8")
    sections = "".join(_section(schema, address, *operation) for operation in operations)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>For programs · {escape(info['summary'])}</title><style>{plain_css()}{sheet}</style></head>"
        f"<body>{_site(pages)}<main><h1>For programs</h1>"
        f"<p>{escape(info['title'])} answers programs as it answers people: one request, one answer. "
        "There are three doors to the same functions. The names of the fields are the same at each.</p>"
        f"{_doors(address)}<h2>Addresses</h2><p>Version {escape(info['version'])} of the answers. "
        'The same as a schema, for generators: <a href="openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Addresses"><ul class="contents">{contents}'
        f'<li><a href="#refusals">When it says no</a></li></ul></nav>{sections}'
        '<h2 id="refusals">When it says no</h2>'
        f"<p>Every refusal has this form. Programs may branch on the code.</p>{_code(_ERROR)}"
        f"{_details('All codes', _codes(schema))}</main></body></html>"
    )


def _site(pages: Sequence[tuple[str, str]]) -> str:
    """The way back to the pages."""
    links = "".join(f'<a href="../../{escape(path)}">{escape(title)}</a>' for path, title in pages)
    return (
        f'<header class="site"><nav class="site" aria-label="Pages"><strong>AVSL</strong>{links}'
        '<a href="docs" aria-current="page">For programs</a></nav></header>'
    )


def _doors(address: str) -> str:
    curl = f"curl -F a=@one.jpg -F b=@two.jpg {address}/api/v1/compare"
    shown = (
        ("HTTP", "A form in, JSON out.", curl),
        (
            "Python, with gradio_client",
            "The functions are endpoints of the same names.",
            _CLIENT.strip().replace("ADDRESS", address),
        ),
        (
            "MCP, for assistants",
            "The tools are at <code>/mcp</code>. A picture is a <code>data:</code> address, or the key that "
            "<code>/api/v1/pictures</code> gives for it. Most clients are told so in this way:",
            _MCP.replace("ADDRESS", address),
        ),
    )
    return "".join(f"<h3>{title}</h3><p>{words}</p>{_code(escape(code))}" for title, words, code in shown)


def _anchor(path: str) -> str:
    return path.rpartition("/")[2]


def _code(text: str) -> str:
    """Code, which may be scrolled, also by keyboard."""
    return f'<pre tabindex="0">{text}</pre>'


def _details(title: str, table: str) -> str:
    return (
        f'<details><summary>{title}</summary><div class="scrolled" tabindex="0" role="group" '
        f'aria-label="{title}">{table}</div></details>'
    )


_ERROR = escape('{"error": {"code": "unreadable_picture", "message": "what is wrong and what to do"}}')


def _section(
    schema: Mapping[str, Any], address: str, verb: str, path: str, operation: Mapping[str, Any]
) -> str:
    fields = _fields(schema, _body(operation))
    answer = operation["responses"]["200"]["content"]
    shown = "".join(_answer(schema, kind, content) for kind, content in answer.items())
    return (
        f'<section id="{_anchor(path)}"><h3><code>{verb} {escape(path)}</code></h3>'
        f"<p>{escape(operation.get('description', ''))}</p>{_example(address + path, fields)}"
        f"{_table('Fields of the form', fields)}{shown}</section>"
    )


def _body(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    found: Mapping[str, Any] = next((kind["schema"] for kind in content.values()), {})
    return found


def _answer(schema: Mapping[str, Any], kind: str, content: Mapping[str, Any]) -> str:
    fields = _fields(schema, content.get("schema", {}))
    return (
        _table("Fields of the answer", fields)
        if fields
        else f"<p>The answer is <code>{escape(kind)}</code>.</p>"
    )


def _fields(schema: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Kind and description of every field of an object, those of objects within it below it."""
    node = _resolved(schema, node)
    required = node.get("required", [])
    found: dict[str, tuple[str, str]] = {}
    for name, value in node.get("properties", {}).items():
        whole = _resolved(schema, value)
        words = str(value.get("description") or whole.get("description", ""))
        limits = [f"{label} {whole[key]:g}" for key, label in _LIMITS.items() if key in whole]
        if "default" in value and name not in required:
            limits.append(f"default {json.dumps(value['default'])}")
        kind = _kind(schema, value)
        found[name] = (kind, " ".join([words, f"({', '.join(limits)})" if limits else ""]).strip())
        inner = _resolved(schema, whole.get("items", whole))
        for below, told in _fields(schema, inner).items():
            found[f"{name}.{below}"] = told
    return found


_LIMITS = {"minimum": "at least", "maximum": "at most"}


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        node = schema["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    return node


def _kind(schema: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    node = _resolved(schema, node)
    if "anyOf" in node:
        return " or ".join(_kind(schema, part) for part in node["anyOf"])
    if node.get("type") == "array":
        return f"list of {_kind(schema, node.get('items', {}))}"
    if node.get("contentMediaType") == "application/octet-stream" or node.get("format") == "binary":
        return "file"
    return str(node.get("type", "value"))


def _table(title: str, fields: Mapping[str, tuple[str, str]]) -> str:
    if not fields:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{_marked(words)}</td></tr>"
        for name, (kind, words) in fields.items()
    )
    head = "<tr><th>Field</th><th>Kind</th><th>Meaning</th></tr>"
    return _details(title, f"<table>{head}{rows}</table>")


def _marked(words: str) -> str:
    """Words with what stands between backticks as code."""
    return re.sub("`(.*?)`", r"<code>\1</code>", escape(words))


_VALUES = {
    "gallery": "demo",
    "side": "a",
    "regions": "'[[0.4, 0.3, 0.2, 0.2]]'",
    **dict.fromkeys(("x", "y"), "0.4"),
    **dict.fromkeys(("width", "height"), "0.2"),
}


def _example(address: str, fields: Mapping[str, tuple[str, str]]) -> str:
    """What to type, with every file that the form needs."""
    parts = []
    for name, (kind, words) in fields.items():
        if "file" in kind:
            parts += [f"-F {name}=@{file}.jpg" for file in (("one", "two") if "list" in kind else (name,))]
        elif "default" not in words:
            parts.append(f"-F {name}={_VALUES.get(name, '...')}")
    return _code(escape(" ".join(["curl", *parts, address])))


def _codes(schema: Mapping[str, Any]) -> str:
    """Every status that refuses, from the first address: all have the same."""
    operation = next(iter(next(iter(schema["paths"].values())).values()))
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{_marked(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
        if status != "200"
    )
    return f"<table><tr><th>Status</th><th>Codes</th></tr>{rows}</table>"
