"""The private key of a key pair login, from a file or inline, PEM or base64 of DER, with or without a passphrase."""

import base64
import binascii
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from shared.errors import TerminalError
from shared.redaction import hide_renewed
from shared.settings import WarehouseSettings

_LEAST_BITS: Final = 2048  # Snowflake takes no shorter RSA key
_PASSPHRASE: Final = "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"


def read_private_key(settings: WarehouseSettings) -> bytes:
    """Unencrypted PKCS#8 DER, as the connector takes it. No message holds any of it.

    Raises:
        TerminalError: `warehouse-key-invalid`, with the setting and the mend.
    """
    source = settings.snowflake_private_key_file
    name = "GTM_SNOWFLAKE_PRIVATE_KEY" if source is None else f"GTM_SNOWFLAKE_PRIVATE_KEY_FILE ({source})"
    given = settings.snowflake_private_key_passphrase
    key = _load(_read(source, settings), None if given is None else given.get_secret_value().encode(), name)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise _invalid(f"{name} is a {type(key).__name__}; Snowflake takes RSA (2048 bits or more) and ECDSA keys.")
    if isinstance(key, RSAPrivateKey) and key.key_size < _LEAST_BITS:
        raise _invalid(f"{name} has {key.key_size} bits; Snowflake takes RSA keys of {_LEAST_BITS} and more.")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _read(source: Path | None, settings: WarehouseSettings) -> bytes:
    if source is not None:
        try:
            content = source.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise _invalid(f"GTM_SNOWFLAKE_PRIVATE_KEY_FILE ({source}) can't be read: {reason}.") from None
        if content.isascii():  # PEM; bytes are in no text
            hide_renewed(content.decode())
        return content
    assert settings.snowflake_private_key is not None  # require_snowflake() has said so
    # An .env file has no multi-line values everywhere: `\n` between the lines of a PEM is what people write.
    text = settings.snowflake_private_key.get_secret_value().replace("\\n", "\n").strip()
    if text.startswith("-----"):
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("GTM_SNOWFLAKE_PRIVATE_KEY is neither PEM nor base64 of DER.") from None


def _load(content: bytes, passphrase: bytes | None, name: str) -> object:
    load = load_pem_private_key if content.lstrip().startswith(b"-----") else load_der_private_key
    try:
        return load(content, passphrase)
    except TypeError:  # the library's word for a passphrase that is missing, or that is one too many
        how = f"is encrypted: set {_PASSPHRASE}" if passphrase is None else f"is not encrypted: remove {_PASSPHRASE}"
        raise _invalid(f"{name} {how}.") from None
    except (ValueError, UnsupportedAlgorithm):
        reason = "is no private key that can be read" if passphrase is None else f"can't be opened with {_PASSPHRASE}"
        raise _invalid(f"{name} {reason}.") from None


def _invalid(what: str) -> TerminalError:
    return TerminalError(
        f"{what} Make a pair with `openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM -out key.p8`, and give its "
        "public half to the user (docs/snowflake.md).",
        code="warehouse-key-invalid",
        title="The private key for Snowflake can't be used",
    )
