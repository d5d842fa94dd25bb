"""No line and no answer holds a secret or an e-mail address, whoever writes it and in whatever form it comes."""

import base64
import contextlib
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa
import structlog

from shared import logging as gtm_logging
from shared.access.keys import mint_key
from shared.env_settings import is_secret
from shared.logging import configure_logging, get_logger
from shared.redaction import hide
from shared.settings import AppSettings
from tests.shared.test_secret_files import CLASSES

# One of each kind: letters, all that URLs and JSON escape, several lines, another script.
VALUES = [
    "s3cr3tOfLettersAlone",
    'p%40ss/w:rd "quoted" \\ & #+=?',
    "first-line-of-a-key-0123\nsecond-line-of-a-key-456",
    "pässwörd-с-буквами",
]


class Written:
    """The log of this process; called, it gives what was written since."""

    def __init__(self) -> None:
        self._stream = io.StringIO()

    def configure(self, log_format: str) -> None:
        with contextlib.redirect_stderr(self._stream):
            configure_logging(AppSettings.model_validate({"GTM_LOG_FORMAT": log_format, "GTM_LOG_LEVEL": "DEBUG"}))

    def __call__(self) -> str:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return text


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    root = logging.getLogger()
    before, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    log = Written()
    log.configure(request.param)
    yield log
    root.handlers[:], (sys.excepthook, threading.excepthook) = before, hooks
    root.setLevel(level)
    structlog.reset_defaults()


def forms(value: str) -> list[str]:
    raw = value.encode()
    encoded = [base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b64encode(b"user:" + raw)]
    quoted = [quote(value), quote(value, safe=""), quote_plus(value)]
    lowered = [re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), one) for one in quoted]
    escaped = [repr(value), json.dumps(value), json.dumps({"in": [json.dumps(value, ensure_ascii=False)]})]
    return [value, *quoted, *lowered, *escaped, *[one.decode() for one in encoded]]


def traces(value: str) -> list[str]:
    """What must not be found: each form, without what base64 shares with its neighbours."""
    return [form.strip("'\"=")[:-1] for form in forms(value) if "{" not in form] + value.split("\n")


def raise_with(text: str) -> None:
    raise ValueError(f"could not log in with {text}") from RuntimeError({"password": text})


def write_everywhere(text: str) -> None:
    log = get_logger("test")
    log.info("said", field=text, nested={"a": [text]}, url=f"https://api.example.com/x?a=1&t={text}&b=2")
    log.warning(f"in the event {text}")
    for name in ("celery.worker", "uvicorn.error", "httpx", "sqlalchemy.engine", "py.warnings"):
        logging.getLogger(name).warning("of %s: %s", name, text)
    try:
        raise_with(text)
    except ValueError as error:
        log.error("failed", exc_info=error)
        logging.getLogger("celery").exception("failed")
    try:
        sa.create_engine("sqlite://").connect().execute(sa.text("select :text from nowhere"), {"text": text})
    except sa.exc.OperationalError as error:
        log.error("refused", reason=str(error))


@pytest.mark.parametrize("value", VALUES, ids=["letters", "escapes", "lines", "script"])
def test_a_secret_is_in_no_line_in_no_form(value: str, written: Written) -> None:
    hide(value)
    for form in forms(value):
        write_everywhere(form)
        text = written()
        assert text.count("***") > 8
        assert [trace for trace in traces(value) if trace in text] == [], form


def test_every_secret_setting_is_hidden_once_it_is_read(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {}
    for kind in CLASSES:
        fields = {str(field.validation_alias): field for field in kind.model_fields.values() if is_secret(field)}
        for number, name in enumerate(sorted(fields)):
            secret = f"{kind.__name__}-{number}-open-sesame"
            secret = mint_key().text if name == "GTM_API_KEY" else secret
            values[name] = secret
            monkeypatch.setenv(name, f"redis://:{secret}@127.0.0.1/0" if name.endswith("_URL") else secret)
        kind()
        for name in fields:
            get_logger("test").info("said", text=values[name], encoded=quote(f"x {values[name]}"))
        text = written()
        assert "sesame" not in text and not any(value[-40:] in text for value in values.values())
    assert len(values) >= 14 and {"GTM_SNOWFLAKE_PRIVATE_KEY", "GTM_SNOWFLAKE_OAUTH_TOKEN"} <= values.keys()


def test_where_a_store_is_may_be_said(written: Written) -> None:
    hide("postgresql+psycopg://gtm:open%20sesame@db.example.com:5432/gtm?password=sesame-2")
    get_logger("test").info("away", url="postgresql+psycopg://gtm:open%20sesame@db.example.com:5432/gtm")
    get_logger("test").info("away", reason="open sesame, sesame-2 at db.example.com")
    text = written()
    assert "sesame" not in text and text.count("db.example.com") == 2


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer gtm_abcdefghij23_{'sesame-_9' * 4}sesame9",
        "b'Bearer 00Dsesame0000!AQsesame'",
        "Basic dXNlcjpzZXNhbWU6c2VzYW1l",
        "amqp://user:sesame@host/vhost",
        "GET /v1/webhooks/salesforce?token=sesame&x=1 HTTP/1.1",
        "https://x.example/?client_secret=sesame&access_token=sesame#sesame",
        "whsec_sesamesesamesesame",
        "eyJzZXNhbWU.eyJzZXNhbWU.sesame-sesame",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIsesame\nsesame\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\nMIIsesame cut off",
        "duplicate value: jane.o'sesame+tag@mail.sesame.example",
        "To: ünïcode@sesame.example,",
        "GET /x?to=jane%40mail.sesame.example",
        '"jane sesame"@sesame.example',
        "connect(user='x', password='sesame one')",
        "host=x password=sesame dbname=y",
        "{'password': 'sesame', 'x': 1}",
        '{"in": "{\\\\"client_secret\\\\": \\\\"sesame\\\\"}"}',
        "token: sesame-1",
        "X-Api-Key: sesame1",
        "Authorization: Token sesame",
        "'authorization': 'sesame'",
    ],
)
def test_what_looks_like_a_credential_is_taken_out_wherever_it_comes_from(text: str, written: Written) -> None:
    get_logger("test").info("said", text=text)
    logging.getLogger("celery").error("said %s", text)
    left = written().replace("#sesame", "").replace("jane.o'", "")
    assert "sesame" not in left and "c2VzYW1l" not in left


def test_a_long_field_is_cut_in_a_line(written: Written) -> None:
    get_logger("test").info("said", text="-eyJ" * 250_000, nested={"in": ["a." * 500_000]}, last="here")
    text = written()
    assert len(text) < 200_000 and "here" in text and "(1000000 characters)" in text


def test_a_field_with_a_secret_name_is_never_written(written: Written) -> None:
    get_logger("test").info("said", client_secret="abc", api_key="def", Authorization="ghi", password=1234)
    text = written()
    assert text.count("***") == 4 and not any(value in text for value in ("abc", "def", "ghi", "1234"))


def test_what_is_quoted_begins_no_line_and_steers_no_terminal(written: Written) -> None:
    forged = 'x\n{"event": "job_succeeded"}\r\n2026-11-24 [info] forged \x1b[2J\x1b]0;t\x07\x9b31m \u2028 \u202etxt'
    get_logger("test").info("said", text=forged)
    get_logger("test").info(f"event {forged}")
    logging.getLogger("a.library").info("of stdlib %s", forged)
    try:
        raise ValueError(forged)
    except ValueError as error:
        get_logger("test").error("failed", exc_info=error)
    text = written()
    # split("\n"), since splitlines() also splits where no log reader does; a traceback has lines of its own.
    lines = text.split("\n")
    if text.startswith("{"):
        assert len(lines) == 5 and all(json.loads(line) for line in lines[:4])
    else:
        assert [line for line in lines[:3] if "forged" not in line] == []
    assert not any(control in text for control in "\x1b\x07\x9b\r\u2028\u202e")


def test_what_ends_a_process_or_a_thread_is_a_line_like_others(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(VALUES[0])
    for module, log_it in ((sys, gtm_logging._log_crash), (threading, gtm_logging._log_thread_crash)):
        monkeypatch.setattr(module, "excepthook", module.__excepthook__)
        written.configure("json")
        assert module.excepthook is log_it
        monkeypatch.setattr(module, "excepthook", write_everywhere)
        written.configure("json")
        assert module.excepthook is write_everywhere, "what somebody else has set stays"

    def fail() -> None:
        raise_with(VALUES[0])

    monkeypatch.setattr(threading, "excepthook", gtm_logging._log_thread_crash)
    thread = threading.Thread(target=fail, name="of-a-test")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        gtm_logging._log_crash(ValueError, error, error.__traceback__)
    text = written()
    assert "thread_crashed" in text and "of-a-test" in text and "process_crashed" in text
    assert VALUES[0] not in text


def test_a_line_that_can_not_be_written_is_not_shown_beside_a_traceback(written: Written) -> None:
    record = logging.LogRecord("celery", logging.WARNING, "", 1, "of %d: %s", ("s3cr3t", "s3cr3t"), None)
    logging.getLogger().handlers[0].handle(record)
    text = written()
    assert "line_not_written" in text and "celery" in text and "s3cr3t" not in text
