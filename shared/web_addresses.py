"""Addresses that a service may call. They come from settings alone; what an answer names is held against them."""

import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

# Where clouds tell a machine its own credentials, beside the link-local range.
_METADATA: Final = frozenset(
    {
        "100.100.100.200",
        "fd00:ec2::254",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.google.internal",
    }
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, the network's own translator
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")  # RFC 4291, out of use and still routed by some

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
    if is_never_called(host) or _is_unspecified(host):
        raise ValueError(f"{host} is an address that no such service has (link-local, multicast or a cloud's metadata)")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(host)):
        raise ValueError(f"{parts.scheme}://{host}: credentials are sent there, so it must be https://")
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """`localhost`, 127.0.0.0/8 or ::1."""
    address = _to_address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def is_never_called(host: str) -> bool:
    """Link-local, multicast and metadata addresses, as numbers of any notation and inside of an IPv6 address that a
    gateway takes apart; and the names that clouds give them. Another name is not resolved: whoever sets it answers for
    where it leads.
    """
    address = _to_address(host)
    if address is None:
        return host.lower().rstrip(".") in _METADATA
    return address.is_link_local or address.is_multicast or str(address) in _METADATA


def _is_unspecified(host: str) -> bool:
    """0.0.0.0 or ::, which Linux takes for this machine."""
    address = _to_address(host)
    return address is not None and address.is_unspecified


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
    return (_inside(address) if isinstance(address, ipaddress.IPv6Address) else None) or address


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which it leads by way of a gateway or the kernel itself."""
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
