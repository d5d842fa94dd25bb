"""One JSON object a line on stderr: a static event name and its fields. Ids only; no records, prompts or secrets.

Whoever writes a line, also Celery, uvicorn, SQLAlchemy and a traceback: secrets and e-mail addresses are taken out of
the line as it is written (`shared/redaction.py`), and what it quotes can't begin another line.
"""

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, TextIO

import structlog

from shared.redaction import is_secret_name, redact, redact_values
from shared.settings import AppSettings, app_settings

# Line ends, escapes of terminals, and characters that turn the direction of what follows.
_CONTROLS: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_CONTROLS_IN_LINES: Final = {code: text for code, text in _CONTROLS.items() if chr(code) not in "\n\t"}
_MOST_CHARACTERS: Final = 64 << 10  # of a field: a traceback has room, and no line takes long to look through
_OF_SEVERAL_LINES: Final = frozenset({"exception", "stack"})


def configure_logging(
    settings: AppSettings | None = None, *, processors: Sequence[structlog.typing.Processor] = ()
) -> None:
    """Route structlog and the standard library through one renderer. Safe to repeat.

    `processors` add what only the calling process knows: an API adds its request's id to each line.
    """
    settings = settings or app_settings()
    shared_processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        *processors,
    ]
    handler = _StandardError(sys.stderr)
    handler.setFormatter(_Redacting(foreign_pre_chain=shared_processors, processors=_rendering(settings)))
    structlog.configure(
        processors=[*shared_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("uvicorn.access", "httpx", "httpcore", "snowflake.connector", "faker"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for own_handler in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(own_handler).handlers.clear()
        logging.getLogger(own_handler).propagate = True
    _log_what_ends_a_process()


class _StandardError(logging.StreamHandler[TextIO]):
    """Where a line can't be written, the standard library would write it, unredacted, beside a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # there is nobody left to tell
            kind = sys.exc_info()[0]
            reason = kind.__name__ if kind is not None else "unknown"
            self.stream.write(f'{{"event": "line_not_written", "logger": "{record.name}", "reason": "{reason}"}}\n')


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """The last hand that a line goes through."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _rendering(settings: AppSettings) -> list[structlog.typing.Processor]:
    first: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _mask_named_secrets,
        _cut_long_values,
    ]
    if settings.log_format == "json":  # which escapes control characters itself
        return [*first, structlog.processors.JSONRenderer()]
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*first, _escape_controls, renderer]


def _mask_named_secrets(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in event:
        if is_secret_name(name):
            event[name] = "***"
    return event


def _cut_long_values(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name, value in event.items():
        if isinstance(value, Mapping | list | tuple) or (isinstance(value, str) and len(value) > _MOST_CHARACTERS):
            event[name] = redact_values(value, most=_MOST_CHARACTERS)
    return event


def _escape_controls(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A name with a line end in it would write a line of its own, and one with an escape the terminal's."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = value.translate(_CONTROLS_IN_LINES if name in _OF_SEVERAL_LINES else _CONTROLS)
    return event


def _log_what_ends_a_process() -> None:
    """Python itself would write the traceback as it is. A hook that somebody else has set stays."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_crash
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_thread_crash


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    get_logger(__name__).critical("process_crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        name = crash.thread.name if crash.thread is not None else None
        info = (crash.exc_type, crash.exc_value, crash.exc_traceback)
        get_logger(__name__).error("thread_crashed", thread=name, exc_info=info)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries the context's job_id and request_id."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def current_request_id() -> str | None:
    """Of the request that is being answered, or that has started the job which is being worked on."""
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id
