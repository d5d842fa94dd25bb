"""The OpenAI client against llama.cpp's own server with the real small model."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.scoring.adapters.models import open_model
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.flow import score_accounts
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.local.conftest import bare_environment
from tests.scoring.conftest import FakeJob, account, read_table, to_settings, write_marts

pytestmark = pytest.mark.model
_ROOT = Path(__file__).parents[2]
MODEL = {"GTM_MODEL_API": "openai", "OLLAMA_MODEL": "smollm2:135m"}


@pytest.fixture(scope="module")
def llama_url() -> Iterator[str]:
    """A running server, on a port of its own choice."""
    command = [sys.executable, "-m", "local.llama_server"]
    process = subprocess.Popen(command, cwd=_ROOT, env=bare_environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "is loaded" in said
        yield said.split(" on ")[1].strip()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()


def test_one_account_is_scored_by_real_inference(llama_url: str, tmp_path: Path) -> None:
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path))
    write_marts(warehouse, [account(1)])
    settings = to_settings(llama_url, **MODEL, GTM_MODEL_NUM_PREDICT=64)
    result = score_accounts(FakeJob(), warehouse, open_model(settings), settings)
    assert result["scored"] == 1
    (lead,) = read_table(warehouse, "lead_scores")
    assert (lead["model_name"], lead["model_digest"][:8]) == ("smollm2:135m", "listing:")
    assert lead["prompt_tokens"] > 300 * result["llm_calls"] and lead["completion_tokens"] > 10
    assert abs(lead["lead_score"] - lead["baseline_score"]) <= settings.score_bound


def test_the_schema_binds_and_the_token_limit_shows(llama_url: str) -> None:
    async def ask(**changes: Any) -> Any:
        async with open_model(to_settings(llama_url, **MODEL, **changes)) as model:
            question = [{"role": "user", "content": "A fleet of forty vans."}]
            return await model.ask(question, ANSWER_SCHEMA, 1, 24)

    reply = asyncio.run(ask())
    assert reply.is_done and reply.is_cut and reply.completion_tokens == 24
    assert reply.text.lstrip().startswith("{") and '"claims"' in reply.text


@pytest.mark.parametrize(
    ("changes", "words", "code"),
    [
        ({"GTM_MODEL_API": "ollama"}, "no Ollama server", "model-endpoint-missing"),
        ({"OLLAMA_MODEL": "llama3.1"}, "its /v1/models lists", "model-missing"),
    ],
    ids=["other-api", "other-model"],
)
def test_a_wrong_setting_is_named(llama_url: str, changes: dict[str, str], words: str, code: str) -> None:
    async def describe() -> None:
        async with open_model(to_settings(llama_url, **{**MODEL, **changes})) as model:
            await model.describe()

    with pytest.raises(TerminalError, match=words) as raised:
        asyncio.run(describe())
    assert raised.value.code == code


def test_a_prompt_beyond_the_context_is_named(llama_url: str) -> None:
    async def ask() -> None:
        async with open_model(to_settings(llama_url, **MODEL)) as model:
            await model.ask([{"role": "user", "content": "vans " * 6000}], ANSWER_SCHEMA, 1, 24)

    with pytest.raises(TerminalError, match="exceeds the available context size") as raised:
        asyncio.run(ask())
    assert raised.value.code == "model-context-exceeded"
