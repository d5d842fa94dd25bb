"""What stands around the warehouse: the operations database, Redis, dbt, and the model's hosts."""

import json
import os
import re
import subprocess  # nosec B404 - a fixed command, no shell
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import redis
import sqlalchemy as sa
from pydantic import Field, SecretStr

from shared.doctor.findings import Finding, fail, ok, skip, warn
from shared.errors import GtmError, TransientError
from shared.operations.migrate import read_level
from shared.settings import EnvSettings, OperationsSettings, QueueSettings, WarehouseSettings
from shared.warehouse import open_warehouse

_ANSWER_SECONDS: Final = 3.0
_DBT_SECONDS: Final = 120.0
_MOST_CHARACTERS: Final = 400
_MIGRATE: Final = "python -m shared.operations.migrate"


class SurroundingSettings(EnvSettings):
    """What transform and scoring read for themselves: the doctor looks at both, and imports no service."""

    dbt_project_dir: Path = Field(Path("dbt_transform"), validation_alias="GTM_DBT_PROJECT_DIR")
    dbt_warehouse_large: str = Field("", validation_alias="GTM_DBT_WAREHOUSE_LARGE")
    model_api: Literal["ollama", "openai"] = Field("ollama", validation_alias="GTM_MODEL_API")
    model_api_key: SecretStr | None = Field(None, validation_alias="GTM_MODEL_API_KEY")
    ollama_host: str = Field("http://127.0.0.1:11434", validation_alias="OLLAMA_HOST", min_length=1)
    ollama_model: str = Field("llama3.1", validation_alias="OLLAMA_MODEL", min_length=1)


def examine_operations(settings: OperationsSettings) -> Finding:
    """Reachable, and at this version's migrations."""
    check, shown = "operations database", sa.make_url(settings.database_url).render_as_string(hide_password=True)
    if settings.url is None and not Path(shown.removeprefix("sqlite:///")).exists():
        return fail(check, f"{shown} is not there yet.", _MIGRATE)
    try:
        level = read_level(settings.database_url)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        return fail(
            check, f"{shown}: {type(error).__name__}: {reason}", "Mend GTM_OPERATIONS_URL, or start PostgreSQL."
        )
    if level.is_behind:
        return fail(check, f"{shown} is at {level.current or 'nothing'}; this version needs {level.head}.", _MIGRATE)
    if not level.is_known:
        return warn(check, f"{shown} is at {level.current}, of a later version than this one ({level.head}).")
    return ok(check, f"{shown} at {level.head}")


def examine_redis(settings: QueueSettings) -> Finding:
    """Answers. Jobs wait while it doesn't, and none is lost: but none runs either."""
    url = settings.redis_url.get_secret_value()
    shown = f"{urlsplit(url).hostname}:{urlsplit(url).port or 6379}"
    try:
        with redis.Redis.from_url(
            url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
        ) as client:
            client.ping()
            found = str(dict(client.info("server")).get("redis_version", "?"))
    except (redis.RedisError, OSError, ValueError) as error:
        return fail("redis", f"{shown}: {type(error).__name__}: {error}", "Start Redis (`make up`), or mend REDIS_URL.")
    return ok("redis", f"{shown}, version {found}")


def examine_dbt(settings: WarehouseSettings, surroundings: SurroundingSettings) -> Finding:
    """`dbt debug`: the project can be read, and the adapter logs in with what our settings give it."""
    try:
        versions = f"dbt {version('dbt-core')}, {settings.kind} adapter {version(f'dbt-{settings.kind}')}"
    except PackageNotFoundError as missing:
        return skip("dbt", f"{missing.name} is not installed here; only the transform service needs it.")
    folder = surroundings.dbt_project_dir.resolve()
    if not (folder / "dbt_project.yml").exists():
        return fail("dbt", f"{folder} holds no dbt_project.yml.", "Set GTM_DBT_PROJECT_DIR.")
    hasty = open_warehouse(settings.model_copy(update={"lock_timeout_seconds": _ANSWER_SECONDS}))
    try:
        with hasty.reserve_core() as environment:
            return _run_dbt_debug(versions, settings.kind, folder, environment)
    except TransientError:
        return warn("dbt", f"{versions}; not tried: a job that writes holds the warehouse.", "gtm status")
    except GtmError as error:
        return fail("dbt", error.detail)


def _run_dbt_debug(versions: str, target: str, folder: Path, environment: Mapping[str, str]) -> Finding:
    own = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    with TemporaryDirectory(prefix="gtm-doctor-") as logs:
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors"]
        command += ["--log-path", logs, "--log-level-file", "none", "debug", "--connection"]
        command += ["--project-dir", str(folder), "--profiles-dir", str(folder), "--target", target]
        try:
            done = subprocess.run(  # nosec B603
                command,
                env={**own, **environment, "DO_NOT_TRACK": "1"},
                capture_output=True,
                text=True,
                timeout=_DBT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return fail("dbt", f"{versions}: no answer in {_DBT_SECONDS:.0f} s.", "See the line `login`.")
    if done.returncode == 0:
        return ok("dbt", versions)
    return fail("dbt", f"{versions}: {_trouble_in(done.stdout + done.stderr)}", f"dbt debug --project-dir {folder}")


def _trouble_in(printed: str) -> str:
    """What follows dbt's own word for it, or the last lines; the first ones of `dbt debug` are about what is well."""
    lines = [re.sub(r"^\d\d:\d\d:\d\d\s+", "", line).strip() for line in printed.splitlines()]
    told = [line for line in lines if line]
    _, found, after = " ".join(told).partition("Error")
    return (after.strip() if found else " ".join(told[-3:]))[:_MOST_CHARACTERS] or "it said nothing."


def examine_models(settings: SurroundingSettings) -> Iterator[Finding]:
    """Each host of OLLAMA_HOST: answers, and has the model."""
    if find_spec("httpx") is None:
        yield skip("model", "httpx is not installed here; only the scoring service needs it.")
        return
    for host in (part.strip() for part in settings.ollama_host.split(",")):
        if host:
            yield _examine_host(host if "://" in host else f"http://{host}", settings)


def _examine_host(host: str, settings: SurroundingSettings) -> Finding:
    import httpx  # late: an image without it may still ask about the rest

    parts = urlsplit(host)
    check = f"model at {parts.hostname}:{parts.port or 80}"
    path = "/api/tags" if settings.model_api == "ollama" else "/v1/models"
    key = settings.model_api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    try:
        asked = httpx.get(host.rstrip("/") + path, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)
        answer = asked.raise_for_status().json()
        names = _names(answer)
    except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError, TypeError, KeyError) as error:
        mend = "ollama serve" if settings.model_api == "ollama" else "Mend OLLAMA_HOST or GTM_MODEL_API."
        return fail(check, f"{type(error).__name__}: {error}", mend)
    wanted = settings.ollama_model
    if wanted in names or f"{wanted}:latest" in names:
        return ok(check, wanted)
    mend = f"ollama pull {wanted}" if settings.model_api == "ollama" else "Set OLLAMA_MODEL to one that it serves."
    return fail(check, f"{wanted} is not among its models: {', '.join(sorted(names)) or 'none'}.", mend)


def _names(answer: Any) -> set[str]:
    if "models" in answer:
        return {str(one["name"]) for one in answer["models"]}
    return {str(one["id"]) for one in answer["data"]}
