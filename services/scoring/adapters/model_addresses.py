"""OLLAMA_HOST as base URLs."""

from ipaddress import IPv6Address

import httpx

from shared.errors import TerminalError
from shared.web_addresses import is_never_called

_DEFAULT_PORT = 11434
_THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec B104: to be called, never bound


def parse_hosts(setting: str) -> list[str]:
    """Like Ollama's own: scheme, host and port may be left out, 0.0.0.0 and [::] mean this machine.

    Raises:
        TerminalError: `model-host-invalid`.
    """
    hosts = [_to_url(part) for part in setting.split(",") if part.strip()]
    if not hosts:
        raise _bad_host(setting)
    return list(dict.fromkeys(hosts))


def _to_url(part: str) -> str:
    text = part.strip()
    try:
        url = httpx.URL(text if "://" in text else f"http://{_with_host(text)}")
    except httpx.InvalidURL as error:
        raise _bad_host(part) from error
    if url.userinfo:
        raise _bad_host("***", "It must hold no user or password, since messages show it: use GTM_MODEL_API_KEY.")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise _bad_host("***", "It must end with the path: what follows a ? or # would cut the API's paths off.")
    if url.scheme not in ("http", "https") or not url.host:
        raise _bad_host(part)
    if is_never_called(url.host):
        raise _bad_host(part, "That is a link-local or multicast address, or a cloud's metadata: no model is there.")
    if url.port is None and "://" not in text:
        url = url.copy_with(port=_DEFAULT_PORT)
    return str(url.copy_with(host=_THIS_MACHINE.get(url.host, url.host))).rstrip("/")


def _with_host(text: str) -> str:
    """A bare IPv6 address in brackets, and a bare port behind this machine's address."""
    if text.startswith(":") and text[1:2].isdigit():
        return f"127.0.0.1{text}"
    try:
        return f"[{IPv6Address(text)}]"
    except ValueError:
        return text


def _bad_host(part: str, reason: str = "") -> TerminalError:
    return TerminalError(
        f"OLLAMA_HOST={part!r} is no address. {reason or 'Write http://host:11434, several separated by commas.'}",
        code="model-host-invalid",
        title="OLLAMA_HOST can't be read",
    )
