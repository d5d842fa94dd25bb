"""Watched folders: a sync is due once the files of one have changed and then been left alone for a while."""

import hashlib
from collections.abc import Callable
from typing import Any

from services.ingest.adapters.files.plan import FilesOptions, plan_folder
from services.ingest.settings import IngestSettings, WatchedFolder
from shared.contracts import SyncRequest
from shared.errors import GtmError
from shared.logging import get_logger

log = get_logger(__name__)


class FolderWatch:
    """One look at all watched folders a `look`; the caller decides how often.

    What is due is named by a key made of the files' names, sizes and times and of the mapping: as an idempotency key it
    makes one job however many processes watch and however often they are started anew.
    """

    def __init__(self, settings: IngestSettings, start: Callable[[SyncRequest, str], None]) -> None:
        """`start` gets the request and its key, also again for what was started before."""
        self._settings = settings
        self._start = start
        self._seen: dict[WatchedFolder, Any] = {}

    def look(self) -> None:
        """Starts a sync of each folder that is as it was at the look before, so of none at the first look.

        A file that is still being written changes between two looks. One that arrives by being renamed is whole.
        """
        for folder in self._settings.files_watch:
            try:
                now: Any = self._key_of(folder)
            except (GtmError, OSError) as error:
                now = str(error)
                if self._seen.get(folder) != now:
                    log.warning("watched_folder_unreadable", path=folder.path, mapping=folder.mapping, reason=now)
            else:
                if now is not None and self._seen.get(folder) == now:
                    options = {"mapping": folder.mapping, "path": folder.path}
                    self._start(SyncRequest(source="files", options=options), now)
            self._seen[folder] = now

    def _key_of(self, folder: WatchedFolder) -> str | None:
        """None where the folder has no file that the mapping takes."""
        plan = plan_folder(FilesOptions(mapping=folder.mapping, path=folder.path), self._settings)
        files = [*(file for one in plan.tables for file in one.files), *plan.broken_files]
        if not files:
            return None
        digest = hashlib.sha256(f"{plan.stream}\0{plan.mapping.model_dump_json()}".encode())
        for path in sorted({file.path for file in files}):
            stat = path.stat()
            digest.update(f"\0{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}".encode())
        return f"watched-folder-{digest.hexdigest()}"
