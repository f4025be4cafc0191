"""A page for people about the addresses, made from their schema; it needs nothing from anywhere."""

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["docs_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; font-size: 1.15rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem 1rem; overflow-x: auto; border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; }
td { border-top: 1px solid var(--line); }
td:last-child { width: 60%; }
"""


def docs_html(schema: Mapping[str, Any]) -> str:
    """Every address with its fields and its answer.

    Args:
        schema: An OpenAPI schema.
    """
    info = schema["info"]
    sections = "".join(
        _section(schema, verb.upper(), path, operation)
        for path, verbs in schema["paths"].items()
        for verb, operation in verbs.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} for programs</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['summary'])} For programs</h1>"
        f"<p>Version {escape(info['version'])} of the answers. One request, one answer. "
        'The same as a schema: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}<h2>When it says no</h2><pre>{_ERROR}</pre>{_codes(schema)}</main></body></html>"
    )


_ERROR = escape('{"error": {"code": "unreadable_picture", "message": "what is wrong and what to do"}}')


def _section(schema: Mapping[str, Any], verb: str, path: str, operation: Mapping[str, Any]) -> str:
    fields = _fields(schema, _body(operation))
    answer = operation["responses"]["200"]["content"]
    shown = "".join(_answer(schema, kind, content) for kind, content in answer.items())
    return (
        f"<section><h2><code>{verb} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p>{_example(verb, path, fields)}"
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
    return f"<details open><summary>{title}</summary><table>{head}{rows}</table></details>"


def _marked(words: str) -> str:
    """Words with what stands between backticks as code."""
    return re.sub("`(.*?)`", r"<code>\1</code>", escape(words))


def _example(verb: str, path: str, fields: Mapping[str, tuple[str, str]]) -> str:
    """What to type, with every file that the form needs."""
    parts = []
    for name, (kind, words) in fields.items():
        if "file" in kind:
            parts += [f"-F {name}=@{file}.jpg" for file in (("one", "two") if "list" in kind else (name,))]
        elif "default" not in words:
            parts.append(f"-F {name}={'demo' if name == 'gallery' else '...'}")
    line = " ".join(["curl", *parts, f"ADDRESS{path}"])
    return f"<pre>{escape(line)}</pre>"


def _codes(schema: Mapping[str, Any]) -> str:
    """Every status that refuses, from the first address: all have the same."""
    operation = next(iter(next(iter(schema["paths"].values())).values()))
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{_marked(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
        if status != "200"
    )
    return f"<table><tr><th>Status</th><th>Codes</th></tr>{rows}</table>"
