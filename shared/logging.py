"""One JSON object a line on stderr: a static event name and its fields. Ids only; no records, prompts or secrets."""

import logging
import sys
from collections.abc import Sequence

import structlog

from shared.settings import AppSettings, app_settings


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
    is_json = settings.log_format == "json"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    exceptions: list[structlog.typing.Processor] = [structlog.processors.format_exc_info] if is_json else []
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("uvicorn.access", "httpx", "httpcore", "snowflake.connector", "faker"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for own_handler in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(own_handler).handlers.clear()
        logging.getLogger(own_handler).propagate = True


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries the context's job_id and request_id."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
