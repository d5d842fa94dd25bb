"""The whole house as real processes: Redis, three APIs, four workers, the sweeper; the way `make up` runs it."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx

from shared.operations.migrate import migrate
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.conftest import RedisServer, wait_until
from tests.servers import ApiServer, Server, start_sweeper, start_worker

QUEUES = {
    "ingest": "ingest",
    "transform": "transform",
    "scoring.batch": "scoring",
    "scoring.interactive": "scoring",
}
TERMINAL = {"succeeded", "failed", "cancelled"}


class House:
    """Everything that `make up` starts, but the model: that is the caller's."""

    def __init__(self, folder: Path, redis_binary: str, ollama_url: str, env: dict[str, str] | None = None) -> None:
        self.data_dir = folder / "var"
        self.data_dir.mkdir(parents=True)
        self.exports = folder / "exports"
        self.exports.mkdir()
        self.logs = folder / "logs"
        self.redis = RedisServer(redis_binary, folder, "--save", "", "--maxmemory-policy", "noeviction")
        self.redis.start()
        self.env = {
            "GTM_DATA_DIR": str(self.data_dir),
            "GTM_FILES_ROOTS": str(self.exports),
            "GTM_ENV": "local",
            "GTM_ENV_FILE": os.devnull,
            "REDIS_URL": self.redis.url,
            "OLLAMA_HOST": ollama_url,
            "OLLAMA_MODEL": "smollm2:135m",
            "GTM_SOFT_SHUTDOWN_SECONDS": "1",
            "REMAP_SIGTERM": "SIGQUIT",
            **(env or {}),
        }
        migrate(f"sqlite:///{self.data_dir / 'operations.sqlite3'}")
        self.apis = {name: ApiServer(name, self.logs, self.env) for name in ("ingest", "transform", "scoring")}
        self.workers = {queue: start_worker(name, queue, self.logs, self.env) for queue, name in QUEUES.items()}
        self.sweeper: Server = start_sweeper(self.logs, self.env)
        for api in self.apis.values():
            api.wait_ready()

    @property
    def warehouse(self) -> Warehouse:
        """For looking into it from outside."""
        return open_warehouse(WarehouseSettings(GTM_DATA_DIR=self.data_dir))  # type: ignore[call-arg]

    def start(self, service: str, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """POST a start; the accepted job."""
        response = httpx.post(f"{self.apis[service].url}{path}", json=body, headers=headers, timeout=10)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        """As any of the APIs shows it."""
        response = httpx.get(f"{self.apis['ingest'].url}/v1/jobs/{job_id}", timeout=10)
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def wait(self, job_id: str, *, state: str = "succeeded", seconds: float = 120) -> dict[str, Any]:
        """Poll until the job ends; it must have ended in this state."""
        wait_until(lambda: self.job(job_id)["state"] in TERMINAL, f"job {job_id} ends", seconds=seconds, poll=0.1)
        job = self.job(job_id)
        assert job["state"] == state, job
        return job

    def run_pipeline(self, source: str, options: dict[str, Any], *, limit: int, **headers: str) -> dict[str, Any]:
        """Sync, build, score; the results by kind."""
        body = {"sync": {"source": source, "mode": "full", "options": options}, "scoring": {"limit": limit}}
        job = self.wait(self.start("ingest", "/v1/pipelines", body, **headers)["id"], seconds=170)
        result: dict[str, Any] = job["result"]
        return result

    def kill_worker_during(self, job_id: str, queue: str, phase: str) -> float:
        """SIGKILL the worker and its child while it works on this job, then start another. The moment of the kill."""

        def is_there() -> bool:
            job = self.job(job_id)
            assert job["state"] not in TERMINAL, f"ended before it could be killed: {job}"
            return job["state"] == "running" and str(job["progress"]["phase"]).startswith(phase)

        wait_until(is_there, f"{job_id} is in {phase}", seconds=60, poll=0.01)
        self.workers[queue].kill()
        killed_at = time.monotonic()
        self.workers[queue].restart()
        return killed_at

    def close(self) -> None:
        """End every process."""
        for server in [self.sweeper, *self.workers.values(), *self.apis.values()]:
            server.kill()  # a graceful stop is what the local stack's and the container's tests look at
        self.redis.client.close()
        self.redis.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)
