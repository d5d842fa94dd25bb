"""One house for all journeys: it takes ten seconds to start, and production does not restart between jobs either."""

from collections.abc import Iterator

import pytest

from tests.e2e.house import House
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.ollama import FakeOllama, good

MODEL = {"smollm2:135m": "digest-one"}
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example
HUBSPOT_SECRET, PUBLIC_URL = "a-client-secret", "https://gtm.example.com"


@pytest.fixture(scope="session")
def fake_ollama() -> Iterator[FakeOllama]:
    """Stands in for the model, so that a test can hold an answer back."""
    with FakeOllama(MODEL) as ollama:
        yield ollama


@pytest.fixture(scope="session")
def hubspot() -> Iterator[FakeHubSpot]:
    """A HubSpot account for the whole house."""
    with FakeHubSpot() as fake:
        yield fake


@pytest.fixture(scope="session")
def running_house(
    tmp_path_factory: pytest.TempPathFactory, redis_binary: str, fake_ollama: FakeOllama, hubspot: FakeHubSpot
) -> Iterator[House]:
    """See House."""
    env = {"GTM_WEBHOOK_SECRET": WEBHOOK_SECRET, "GTM_LEASE_SECONDS": "10", "GTM_HEARTBEAT_SECONDS": "2"}
    env |= {"GTM_HUBSPOT_TOKEN": hubspot.token, "GTM_HUBSPOT_URL": hubspot.url, "GTM_REFRESH_DELAY_SECONDS": "2"}
    env |= {"GTM_HUBSPOT_WEBHOOK_SECRET": HUBSPOT_SECRET, "GTM_PUBLIC_URL": PUBLIC_URL}
    running = House(tmp_path_factory.mktemp("house"), redis_binary, fake_ollama.url, env)
    yield running
    running.close()


@pytest.fixture
def ollama(fake_ollama: FakeOllama) -> Iterator[FakeOllama]:
    """As good as new for every test."""
    fake_ollama.default, fake_ollama.on_chat = good, lambda request: None
    fake_ollama.script.clear()
    fake_ollama.chats.clear()
    yield fake_ollama
    fake_ollama.on_chat = lambda request: None


@pytest.fixture
def house(running_house: House, ollama: FakeOllama) -> House:
    """The running house with a well-behaved model."""
    return running_house
