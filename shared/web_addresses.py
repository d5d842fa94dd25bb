"""Addresses that a service may call. They come from settings alone; what an answer names is held against them."""

import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

# Where clouds tell a machine its own credentials, beside the link-local range.
_METADATA: Final = frozenset({"metadata.google.internal", "100.100.100.200", "fd00:ec2::254"})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def require_service_url(url: str) -> str:
    """A base URL to which credentials are sent, without its last slash: https, or http on this machine.

    Raises:
        ValueError: with the mend. It holds nothing of what was given but the scheme and the host.
    """
    parts = _split(url)
    host = parts.hostname or ""
    if not host or any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("no address; write it like https://api.example.com")
    if "@" in parts.netloc:
        raise ValueError("it must hold no user or password: messages show it. Credentials have settings of their own")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("it must end with the path: what follows a ? or # would cut the API's paths off")
    if is_never_called(host):
        raise ValueError(f"{host} is an address that no such service has (link-local, multicast or a cloud's metadata)")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(host)):
        raise ValueError(f"{parts.scheme}://{host}: credentials are sent there, so it must be https://")
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """`localhost`, 127.0.0.0/8 or ::1."""
    address = _to_address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def is_never_called(host: str) -> bool:
    """Link-local, multicast and metadata addresses, in every way that a resolver reads them."""
    address = _to_address(host)
    if address is None:
        return host.lower().rstrip(".") in _METADATA
    return address.is_link_local or address.is_multicast or str(address) in _METADATA


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        raise ValueError("no address; write it like https://api.example.com") from None
    return parts


def _to_address(host: str) -> Address | None:
    """Also of 2852039166 and 0xa9.0376.43518, which resolvers take for 169.254.169.254; None for a name."""
    try:
        address: Address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
