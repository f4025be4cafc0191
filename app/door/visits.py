"""Who comes, and by which name they call the site: from the connection, or from a proxy that is trusted."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from app.options import Network

__all__ = ["Visit", "same_origin", "visit_of", "without_claims"]

_CLAIM = re.compile(rb"x-forwarded-.*|x-real-ip|forwarded", re.IGNORECASE)
_HOME = 64  # bits of an IPv6 address that name a household: the rest a visitor may choose at will


@dataclass(frozen=True)
class Visit:
    """One request's visitor.

    Attributes:
        visitor: The address, as a key: one for a household where addresses are plenty.
        host: The name by which the site was called, with a port if it had one; lower case.
        scheme: "http" or "https".
        trusted: Whether a trusted proxy vouches for this.
    """

    visitor: str
    host: str
    scheme: str
    trusted: bool

    @property
    def name(self) -> str:
        """The host without its port."""
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        return self.host.partition(":")[0]


def visit_of(peer: str | None, headers: Headers, scheme: str, proxies: Sequence[Network]) -> Visit:
    """Read who comes.

    Args:
        peer: The other end of the connection.
        headers: Of the request.
        scheme: Of the connection.
        proxies: Whose word counts.

    Examples:
        >>> headers = Headers({"host": "a.org", "x-forwarded-for": "6.6.6.6, 9.9.9.9, 10.0.0.2"})
        >>> visit_of("10.0.0.1", headers, "http", [ipaddress.ip_network("10.0.0.0/8")]).visitor
        '9.9.9.9'
        >>> visit_of("8.8.8.8", headers, "http", [ipaddress.ip_network("10.0.0.0/8")]).visitor
        '8.8.8.8'
    """
    host = headers.get("host", "").lower()
    if peer is None or not _is_in(peer, proxies):
        return Visit(_key(peer or "unknown"), host, scheme, trusted=False)
    # Each proxy appends whom it saw; what stands before the last stranger is that stranger's claim.
    hops = [hop.strip() for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
    stranger = next((hop for hop in reversed(hops) if not _is_in(hop, proxies)), peer)
    forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip().lower()
    claimed = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return Visit(
        _key(stranger), forwarded or host, claimed if claimed in ("http", "https") else scheme, trusted=True
    )


def without_claims(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers without what only a proxy may say: Gradio would build its addresses from them."""
    return [(name, value) for name, value in headers if not _CLAIM.fullmatch(name)]


def same_origin(origin: str, visit: Visit, others: Iterable[str] = ()) -> bool:
    """Whether a page of this site sent the request.

    Args:
        origin: What the browser says where it comes from.
        visit: By which name the site was called.
        others: Further hosts of ours.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    standard = {"http": 80, "https": 443}[parts.scheme]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # A proxy may leave the standard port out of the host, or put it in.
    names = {f"{name}:{port or standard}"} | ({name} if port in (None, standard) else set())
    return visit.host in names or any(host in names for host in others)


def _key(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _HOME), strict=False))
    return str(found)


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
