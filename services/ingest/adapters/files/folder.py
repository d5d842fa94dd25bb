"""Finding what may be read: folders inside the allowed roots, mappings inside the configuration folder."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from services.ingest.domain.mapping import SourceMapping
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest, TerminalError


def resolve_folder(path: str, roots: tuple[Path, ...]) -> Path:
    """The real folder behind `path`, which is absolute, or relative to the working directory or to a root.

    Raises:
        InvalidRequest: outside every root, also by `..` or a symlink; or no folder there.
    """
    real_roots = [root.resolve() for root in roots]
    try:
        candidates = [base.joinpath(path).resolve() for base in (Path.cwd(), *real_roots)]
    except (OSError, RuntimeError, ValueError) as error:
        raise _wrong_path(f"options.path = {path!r} is no usable path: {error}.", "path-invalid") from None
    inside = [one for one in candidates if any(one.is_relative_to(root) for root in real_roots)]
    if not inside:
        allowed = ", ".join(map(str, roots))
        detail = f"options.path = {path!r} lies outside the folders that may be read ({allowed}); see GTM_FILES_ROOTS."
        raise _wrong_path(detail, "path-not-allowed")
    for folder in inside:
        if folder.is_dir():
            return folder
    raise _wrong_path(f"options.path = {path!r}: there is no such folder. Create it or mend the path.", "path-missing")


def list_files(folder: Path, roots: tuple[Path, ...]) -> list[Path]:
    """Visible files of the folder itself, by name.

    Raises:
        InvalidRequest: a data file is a symlink that leads out of the roots.
    """
    real_roots = [root.resolve() for root in roots]
    try:
        files = [entry for entry in sorted(folder.iterdir()) if entry.is_file() and not entry.name.startswith(".")]
    except OSError as error:
        raise _wrong_path(f"options.path can't be listed: {error.strerror}.", "path-unreadable") from None
    for file in files:
        if not any(file.resolve().is_relative_to(root) for root in real_roots):
            detail = f"{file.name} in options.path leads outside the folders that may be read; see GTM_FILES_ROOTS."
            raise _wrong_path(detail, "path-not-allowed")
    return files


def read_mapping(name: str, settings: IngestSettings) -> SourceMapping:
    """The mapping `<name>.yml`.

    Raises:
        InvalidRequest: there is none of that name.
        TerminalError: `mapping-invalid`, naming what the file has wrong.
    """
    known = sorted(path.stem for path in settings.sources_dir.glob("*.yml"))
    if name not in known:
        raise InvalidRequest(
            f"options.mapping = {name!r}: there is no such mapping in {settings.sources_dir}. "
            f"Known: {', '.join(known) or 'none; see GTM_SOURCES_DIR'}.",
            code="unknown-mapping",
            title="Unknown mapping",
            field="options.mapping",
        )
    file = settings.sources_dir / f"{name}.yml"
    try:
        return SourceMapping.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise _invalid_mapping(file, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise _invalid_mapping(file, f"it can't be read: {error.strerror or error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _invalid_mapping(file, str(error)) from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise _invalid_mapping(file, wrong) from None


def _invalid_mapping(file: Path, wrong: str) -> TerminalError:
    return TerminalError(
        f"Mapping {file.name}: {wrong}", code="mapping-invalid", title="The mapping is not valid", status=422
    )


def _wrong_path(detail: str, code: str) -> InvalidRequest:
    return InvalidRequest(detail, code=code, title="The folder can't be read", field="options.path")
