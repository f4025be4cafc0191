"""Taking results away: one web page that needs nothing else."""

import json
from collections.abc import Sequence

__all__ = ["save_script"]


def save_script(title: str, file: str, parts: Sequence[str]) -> str:
    """JavaScript that downloads parts of the page, with their style, as a page of their own.

    The results carry their pictures inside, so that the page itself is the file to take away.

    Args:
        title: Of the saved page.
        file: Its name.
        parts: The ids of the elements to save, in this order.
    """
    return f"""() => {{
  const part = id => {{
    const copy = document.getElementById(id)?.cloneNode(true);
    copy?.querySelectorAll("button").forEach(button => button.remove()); // there, nothing would answer them
    return copy?.innerHTML ?? "";
  }};
  const styles = [...document.querySelectorAll("style")].map(style => style.textContent).join("\\n");
  const page = `<!doctype html><meta charset="utf-8"><title>{title}</title><style>${{styles}}
    body {{ max-width: 1080px; margin: 2rem auto; padding: 0 1rem;
      font-family: system-ui, sans-serif }}</style>
    <body class="${{document.body.className}}">` + {json.dumps(list(parts))}.map(part).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([page], {{ type: "text/html" }}));
  link.download = {json.dumps(file)};
  link.click();
  URL.revokeObjectURL(link.href);
}}"""
