"""The fakes' server: a client that is killed is no news, a fault of the fake is."""

import socket
import struct
import time
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from tests.fakes.serving import LocalServer, read_body


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/fault":
            raise ValueError("a fault of the fake")
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        raise ValueError(f"half a body: {read_body(self)!r}")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def test_only_faults_of_the_fake_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(_Handler) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with socket.create_connection(address) as client:
            client.sendall(b"GET / HT")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # as the end of a process
        with socket.create_connection(address) as client:
            client.sendall(b'POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n{"inputs":')
        assert httpx.get(server.url).status_code == 204
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/fault")
        told, deadline = "", time.monotonic() + 10
        while "a fault of the fake" not in told and time.monotonic() < deadline:
            told += capfd.readouterr().err
    assert "ValueError: a fault of the fake" in told and "half a body" not in told
    assert "ConnectionResetError" not in told
