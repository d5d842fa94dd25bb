"""Where a service may send credentials and account data: addresses of settings, and never a machine's own metadata."""

import pytest
from pydantic import ValidationError

from services.ingest.adapters.salesforce.login import _require_of_salesforce
from services.ingest.settings import IngestSettings
from services.scoring.adapters.model_addresses import parse_hosts
from shared.errors import TerminalError
from shared.web_addresses import is_never_called, is_this_machine, require_service_url

METADATA = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[2001::5601:5601]",
    "metadata",
    "instance-data",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "100.100.100.200",
    "224.0.0.1",
]


@pytest.mark.parametrize("host", METADATA)
def test_a_machines_own_metadata_is_no_service(host: str) -> None:
    for scheme in ("https", "http"):
        with pytest.raises(ValueError):
            require_service_url(f"{scheme}://{host}/latest")
    with pytest.raises(TerminalError, match="OLLAMA_HOST"):
        parse_hosts(f"http://{host}:11434")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:sesame@api.example.com", "no user or password"),
        ("https://sesame@api.example.com", "no user or password"),
        ("https://api.example.com/?next=https://evil", "end with the path"),
        ("https://api.example.com/#", "end with the path"),
        ("http://api.example.com", "must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://localhost@evil.example", "no user or password"),
        ("ftp://api.example.com", "must be https"),
        ("file:///etc/passwd", "no address"),
        ("gopher://127.0.0.1:6379/_x", "must be https"),
        ("//api.example.com", "must be https"),
        ("https://", "no address"),
        ("https://api.example.com:port", "no address"),
        ("https://api.example.com/\r\nHost: evil", "no address"),
        ("https://[::1", "no address"),
    ],
)
def test_what_is_no_address_of_a_service(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        require_service_url(url)
    assert "sesame" not in str(refused.value)
    for name in ("GTM_HUBSPOT_URL", "GTM_SALESFORCE_LOGIN_URL"):
        with pytest.raises(ValidationError):
            IngestSettings.model_validate({name: url})


def test_no_address_at_all_is_no_service() -> None:
    for host in ("0.0.0.0", "[::]", "0"):
        with pytest.raises(ValueError):
            require_service_url(f"https://{host}/latest")
    assert parse_hosts("0.0.0.0, [::]") == ["http://127.0.0.1:11434", "http://[::1]:11434"]  # as Ollama's own


def test_addresses_that_are_in_use() -> None:
    for url in ("https://api.hubapi.com", "https://x--dev.sandbox.my.salesforce.com/", "http://127.0.0.1:8080"):
        assert require_service_url(url) == url.rstrip("/")
    for url in ("http://[::1]:1", "http://localhost:9", "https://10.1.2.3/crm"):
        assert require_service_url(url) == url
    assert is_this_machine("127.9.9.9") and not is_this_machine("127.evil.example")
    assert not is_never_called("10.0.0.1") and not is_never_called("ollama")
    assert parse_hosts("ollama.internal, 10.0.0.7") == ["http://ollama.internal:11434", "http://10.0.0.7:11434"]


def test_a_login_can_not_send_the_token_elsewhere() -> None:
    """The one address that an answer decides."""
    ours = "https://acme.my.salesforce.com"
    for address in (ours, "https://eu12.salesforce.com", "https://acme.lightning.force.com"):
        assert _require_of_salesforce(address, ours) == address
    assert _require_of_salesforce("http://127.0.0.1:9", "http://127.0.0.1:8") == "http://127.0.0.1:9"
    for address in (
        "https://evil.example",
        "https://salesforce.com.evil.example",
        "https://evilsalesforce.com",
        "http://acme.salesforce.com",
        "https://169.254.169.254",
        "http://127.0.0.1:6379",
        "https://u:p@acme.my.salesforce.com",
        "not an address",
    ):
        with pytest.raises(TerminalError, match="no token is sent there") as refused:
            _require_of_salesforce(address, ours)
        assert refused.value.code == "crm-redirected"
