"""Watched folders: a sync is due once the files of one have changed and then been left alone for a while."""

import hashlib
import os
from collections.abc import Callable

from services.ingest.adapters.files.plan import FilesOptions, FolderPlan, plan_folder
from services.ingest.settings import IngestSettings, WatchedFolder
from shared.contracts import SyncRequest
from shared.logging import get_logger

log = get_logger(__name__)


class FolderWatch:
    """One look at all watched folders a `look`; the caller decides how often.

    What is due is named by a key made of the request, the mapping and the files' names, sizes and times: as an
    idempotency key it makes one job however many processes watch and however often they are started anew.
    """

    def __init__(self, settings: IngestSettings, start: Callable[[SyncRequest, str], None]) -> None:
        """`start` gets the request and its key, also again for what was started before."""
        self._settings = settings
        self._start = start
        self._seen: dict[WatchedFolder, str | None] = {}
        self._problems: dict[WatchedFolder, str] = {}

    def look(self) -> None:
        """Starts a sync of each folder that is as it was at the look before, so of none at the first look.

        A file that is still being written changes between two looks. One that arrives by being renamed is whole. A
        folder that fails, whatever the reason, is logged once for each reason, looked at again, and holds up no other.
        """
        for folder in self._settings.files_watch:
            try:
                self._look_at(folder)
            except Exception as error:  # nobody waits for an answer: without the log, watching would end in silence
                self._complain(folder, error)
            else:
                self._problems.pop(folder, None)

    def _look_at(self, folder: WatchedFolder) -> None:
        before = self._seen.pop(folder, None)
        plan = plan_folder(FilesOptions(mapping=folder.mapping, path=folder.path), self._settings)
        # Not as the setting spells the folder: APIs that spell it otherwise ask for the same job.
        request = SyncRequest(source="files", options={"mapping": folder.mapping, "path": str(plan.folder)})
        self._seen[folder] = now = _key_of(plan, request)
        if now is not None and before == now:
            self._start(request, now)

    def _complain(self, folder: WatchedFolder, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}"
        if self._problems.get(folder) != problem:
            self._problems[folder] = problem
            log.warning("watched_folder_failed", path=folder.path, mapping=folder.mapping, reason=problem)


def _key_of(plan: FolderPlan, request: SyncRequest) -> str | None:
    """None where the folder has no file that the mapping takes. Another request has another key."""
    files = [*(file for one in plan.tables for file in one.files), *plan.broken_files]
    if not files:
        return None
    digest = hashlib.sha256(f"{request.model_dump_json()}\0{plan.mapping.model_dump_json()}".encode())
    for path in sorted({file.path for file in files}):
        stat = path.stat()
        digest.update(os.fsencode(f"\0{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"))
    return f"watched-folder-{digest.hexdigest()}"
