"""What browsers may do with an answer: nothing that leaves the site, and nothing that an upload asks for."""

from collections.abc import Iterable

__all__ = ["answer_headers"]

# Gradio's pages carry scripts and styles inside, and build functions from text (events with `js`).
_PAGES = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# Somebody else's file: even opened by itself it runs nothing and asks for nothing.
_FILES = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)
_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    # Not "no-referrer": browsers would then hide the origin of the site's own forms from it.
    ("referrer-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(self), clipboard-read=(self), clipboard-write=(self), fullscreen=(self), accelerometer=(), "
        "display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), serial=(), usb=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "SAMEORIGIN"),
)
_HTTPS = ("strict-transport-security", "max-age=31536000")
_FOR_EVER = "public, max-age=31536000, immutable"
# Gradio answers other sites' scripts; which program answers is nobody's business.
_DROPPED = ("access-control-", "server", "x-powered-by")

Header = tuple[bytes, bytes]


def answer_headers(headers: Iterable[Header], *, kind: str, https: bool) -> list[Header]:
    """The headers of an answer as they leave.

    Args:
        headers: As the app gave them.
        kind: Of the address, as :class:`app.door.space.Place` has it; an asset's name changes with its
            content, one that is "unhashed" keeps its name.
        https: Whether the visitor came by HTTPS.
    """
    kept = [
        (name, value) for name, value in headers if not name.lower().decode("latin-1").startswith(_DROPPED)
    ]
    names = {name.lower() for name, _ in kept}
    added = dict(_ALWAYS) | {"content-security-policy": _FILES if kind == "file" else _PAGES}
    if https:
        added |= dict([_HTTPS])
    if kind == "asset":
        added |= {"cache-control": _FOR_EVER}
    elif b"cache-control" not in names:
        added |= {"cache-control": "private, max-age=3600" if kind in ("file", "unhashed") else "no-store"}
    replaced = {name.encode() for name in added}
    kept = [(name, value) for name, value in kept if name.lower() not in replaced]
    return kept + [(name.encode(), value.encode()) for name, value in added.items()]
