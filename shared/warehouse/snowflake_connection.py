"""One way to log in to Snowflake for all that do: SQLAlchemy, PUT (on SQLAlchemy's connections) and dbt.

What is tried again, and by whom. A request without an answer (cut, 429, 5xx) is sent again by the driver with the same
request id for GTM_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS; Snowflake runs a request id once, so a MERGE whose answer was
lost is not doubled. What still fails, or fails for a reason that passes (shared/snowflake_codes.py), is a
TransientError: the transaction is rolled back and the job repeats it whole. Nothing between those two repeats a
single statement, since half of a transaction would be in a session that is gone.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from snowflake.connector.errors import Error as ConnectorError

from shared.errors import TerminalError
from shared.redaction import hide, hide_renewed
from shared.settings import WarehouseSettings
from shared.warehouse.budget import watch
from shared.warehouse.query_tag import APPLICATION, current_query_tag
from shared.warehouse.snowflake_errors import explain_refusal, is_of_a_value, is_session_lost
from shared.warehouse.snowflake_keys import read_private_key
from shared.warehouse.snowflake_session import PatientConnection
from shared.warehouse.snowflake_transaction import guard_transactions

# A session ends after four idle hours; younger ones meet that only when somebody ends them.
_SESSION_SECONDS: Final = 3600
_TAG: Final = "query_tag"


def connect_arguments(settings: WarehouseSettings, *, query_tag: str) -> dict[str, Any]:
    """For `snowflake.connector.connect`. Key and token are read anew at each call: they may be renewed meanwhile.

    Raises:
        TerminalError: `warehouse-not-configured`, `warehouse-key-invalid`.
    """
    settings.require_snowflake()
    arguments: dict[str, Any] = {
        "account": settings.snowflake_account,
        "user": settings.snowflake_user,
        "role": settings.snowflake_role,
        "warehouse": settings.snowflake_warehouse,
        "database": settings.snowflake_database,
        "validate_default_parameters": True,  # a database or warehouse that isn't there refuses the login, by its name
        "autocommit": False,
        "application": APPLICATION,
        "login_timeout": settings.snowflake_login_timeout_seconds,
        "network_timeout": settings.snowflake_network_timeout_seconds,
        "platform_detection_timeout_seconds": 0.0,  # else each login first looks for a cloud's metadata server
        "session_parameters": session_parameters(settings, query_tag=query_tag),
    }
    return arguments | _credentials(settings) | _address(settings)


# What decides how text becomes a moment, and of which kind `timestamp` is. Builds have it from their user (roles.sql),
# since dbt can set none: `gtm doctor` looks.
RESULT_PARAMETERS: Final = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "DATE_INPUT_FORMAT": "AUTO",
}


def session_parameters(settings: WarehouseSettings, *, query_tag: str) -> dict[str, Any]:
    """What every session of ours has, whatever account and user have by default."""
    return {
        "QUERY_TAG": query_tag,
        **RESULT_PARAMETERS,
        "STATEMENT_TIMEOUT_IN_SECONDS": settings.snowflake_statement_timeout_seconds,
        # Longer than the five idle minutes after which Snowflake ends a dead worker's transaction that holds a lock.
        "LOCK_TIMEOUT": int(settings.lock_timeout_seconds),
        "ABORT_DETACHED_QUERY": True,  # a killed worker's statement ends, instead of running for nobody
    }


def dbt_environment(settings: WarehouseSettings) -> dict[str, str]:
    """What dbt_transform/profiles.yml reads. dbt keeps values of DBT_ENV_SECRET_ out of its logs; every name is
    always there, so that a credential that was not chosen can't come from elsewhere.

    Raises:
        TerminalError: `warehouse-not-configured`, `warehouse-key-invalid`.
    """
    settings.require_snowflake()
    login, credentials = settings.snowflake_login, _credentials(settings)
    # The key that was read, and no path: dbt by itself reads PEM files alone, and says less of one that it can't use.
    key = base64.b64encode(credentials["private_key"]).decode() if login == "key-pair" else ""
    hide(key)
    return {
        "SNOWFLAKE_ACCOUNT": settings.snowflake_account,
        "SNOWFLAKE_USER": settings.snowflake_user,
        "SNOWFLAKE_WAREHOUSE": settings.snowflake_warehouse,
        "SNOWFLAKE_DATABASE": settings.snowflake_database,
        "SNOWFLAKE_SCHEMA": settings.snowflake_schema,
        "SNOWFLAKE_ROLE": settings.snowflake_role,
        "SNOWFLAKE_PASSWORD": "",  # nosec B105 - taken out of dbt's environment, not a password
        "GTM_SNOWFLAKE_AUTHENTICATOR": credentials.get("authenticator", "") if login == "oauth" else "",
        "GTM_SNOWFLAKE_PRIVATE_KEY_FILE": "",
        "GTM_SNOWFLAKE_LOGIN_TIMEOUT_SECONDS": str(settings.snowflake_login_timeout_seconds),
        "GTM_SNOWFLAKE_HOST": settings.snowflake_host or "",
        "GTM_SNOWFLAKE_PORT": str(settings.snowflake_port or 443),
        "GTM_SNOWFLAKE_PROTOCOL": settings.snowflake_protocol,
        "GTM_QUERY_TAG": current_query_tag(),
        "DBT_ENV_SECRET_SNOWFLAKE_PASSWORD": credentials.get("password", ""),
        "DBT_ENV_SECRET_SNOWFLAKE_TOKEN": credentials.get("token", ""),
        "DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY": key,
        "DBT_ENV_SECRET_SNOWFLAKE_PASSPHRASE": "",  # nosec B105 - the key is given without one
    }


def _credentials(settings: WarehouseSettings) -> dict[str, Any]:
    login = settings.snowflake_login
    if login == "key-pair":
        return {"authenticator": "SNOWFLAKE_JWT", "private_key": read_private_key(settings)}
    if login == "oauth":
        return {"authenticator": "oauth", "token": _read_token(settings)}
    return {"password": settings.snowflake_password.get_secret_value()}


def _read_token(settings: WarehouseSettings) -> str:
    file = settings.snowflake_oauth_token_file
    if file is None:
        assert settings.snowflake_oauth_token is not None  # require_snowflake() has said so
        return settings.snowflake_oauth_token.get_secret_value()
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise TerminalError(
            f"GTM_SNOWFLAKE_OAUTH_TOKEN_FILE ({file}) can't be read: {reason}. Whatever renews the token must write it "
            "there, readable for this process.",
            code="warehouse-login-refused",
            title="The warehouse refuses the login",
        ) from None
    hide_renewed(token)
    return token


def _address(settings: WarehouseSettings) -> dict[str, Any]:
    """Where the account is; the settings allow anything else on this machine alone."""
    if settings.snowflake_host is None:
        return {}
    port = settings.snowflake_port or 443
    return {"host": settings.snowflake_host, "port": port, "protocol": settings.snowflake_protocol}


def create_engine(settings: WarehouseSettings) -> sa.Engine:
    """The process's pool of sessions. Opens none yet. Each carries the tag of the job that it works for.

    Raises:
        TerminalError: `warehouse-not-configured`.
    """
    settings.require_snowflake()
    engine = sa.create_engine(
        "snowflake://",
        creator=lambda: connect(settings),
        pool_size=settings.snowflake_pool_size,
        max_overflow=settings.snowflake_pool_size,
        pool_pre_ping=True,
        pool_recycle=_SESSION_SECONDS,
        hide_parameters=True,  # values of rows, which errors would show
    )
    sa.event.listen(engine, "connect", _note_tag)
    sa.event.listen(engine, "checkout", _tag_session)
    sa.event.listen(engine, "handle_error", _note_lost_session)
    guard_transactions(engine)
    return watch(engine)


def connect(settings: WarehouseSettings) -> Any:
    """A session of its own, outside of any pool; the caller closes it.

    Raises:
        snowflake.connector.errors.Error: refused or unreachable; `explaining_refusals` says why.
    """
    longest = max(settings.snowflake_statement_timeout_seconds, int(settings.lock_timeout_seconds))
    arguments = connect_arguments(settings, query_tag=current_query_tag())
    return PatientConnection(statement_seconds=longest, **arguments)


@contextmanager
def explaining_refusals(settings: WarehouseSettings) -> Iterator[None]:
    """What Snowflake or the way to it refuses within, as an error that says what to mend.

    Raises:
        TransientError, TerminalError: by the code (shared/snowflake_codes.py).
        sa.exc.DataError: a value that no column takes; what is to be done about its row, the caller knows.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, ConnectorError):
            raise
        raise _explained(error.orig, settings, error) from error
    except sa.exc.TimeoutError as error:
        raise explain_refusal(error, settings) from error
    except ConnectorError as error:
        raise _explained(error, settings, None) from error


def _explained(cause: ConnectorError, settings: WarehouseSettings, error: sa.exc.DBAPIError | None) -> Exception:
    if error is not None and is_of_a_value(cause):
        return sa.exc.DataError(error.statement, None, cause, hide_parameters=True)
    return explain_refusal(cause, settings)


def _note_tag(_connection: Any, record: Any) -> None:
    record.info[_TAG] = current_query_tag()  # with which `connect` has just logged in


def _tag_session(connection: Any, record: Any, _proxy: Any) -> None:
    """A pooled session serves one job after another. Costs a statement per job and session, which no warehouse runs."""
    tag = current_query_tag()
    if record.info.get(_TAG) == tag:
        return
    text = tag.replace("\\", "\\\\").replace("'", "''")
    with connection.cursor() as cursor:
        cursor.execute(f"alter session set query_tag = '{text}'")
    record.info[_TAG] = tag


def _note_lost_session(context: sa.engine.ExceptionContext) -> None:
    """The dialect can't tell: without this a session that ended would stay in the pool."""
    if isinstance(context.original_exception, ConnectorError) and is_session_lost(context.original_exception):
        context.is_disconnect = True
