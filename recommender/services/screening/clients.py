"""The network address that a request came from: which one to believe, to count by and to keep."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from recommender.conf import conf

CONNECTION = "REMOTE_ADDR"
Address = IPv4Address | IPv6Address


def client(meta: Mapping[str, Any]) -> str:
    """The client's address by what WSGI says of the request; empty where it cannot be known.

    Headers are believed only where the settings name one: anybody can send them. A private address of the connection
    is a proxy's, which all clients share, so it names nobody unless the settings say that it does.
    """
    rules = conf().guarding
    if rules.client_header in ("", CONNECTION):
        found = _address(meta.get(CONNECTION))
        known = found and (found.is_global or rules.client_header == CONNECTION)
        return str(found) if known else ""
    told = str(meta.get(f"HTTP_{rules.client_header.upper().replace('-', '_')}") or "")
    hops = told.split(",")
    # Each proxy adds at the right what it saw; what is left of our own proxies' part is whatever the client sent.
    found = _address(hops[-rules.proxies]) if len(hops) >= rules.proxies else None
    return str(found) if found else ""


def counted(client: str) -> str:
    """What limits are counted by: an IPv6 client has a whole /64 of addresses to choose from."""
    return str(ip_network((client, 64), strict=False)) if ":" in client else client


def kept(client: str) -> str:
    """What is written down: the address, or its network where the settings ask for short ones."""
    if not client or not conf().guarding.short_addresses:
        return client
    return str(ip_network((client, 48 if ":" in client else 24), strict=False))


def _address(told: Any) -> Address | None:
    """Of 192.0.2.1, 192.0.2.1:443, 2001:db8::1 and [2001:db8::1]:443; None of anything else."""
    text = str(told or "").strip()[:64]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found
