"""How all settings are read: the environment, files named by it, `.env`; and how what is wrong with them is told."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shared.redaction import hide

_LONGEST_SECRET_BYTES: Final = 64 << 10


@dataclass(frozen=True)
class _Unusable:
    """Stands for the value of a setting whose file is no use, until its field refuses it."""

    problem: str


class SecretFiles(PydanticBaseSettingsSource):
    """Each secret setting NAME may stand in a file instead, which NAME_FILE names: as Docker and Kubernetes mount them.

    Read once, when the settings are. The file's line end at its end is not part of the secret. A class that has a
    field NAME_FILE of its own reads that file itself.
    """

    def __init__(self, settings_cls: type[BaseSettings], *named_by: PydanticBaseSettingsSource) -> None:
        """`named_by`: environment and `.env`, the stronger first."""
        super().__init__(settings_cls)
        self._variables = [one.env_vars for one in named_by if isinstance(one, EnvSettingsSource)]

    def __call__(self) -> dict[str, Any]:
        found = {name: self._read(name) for name in secret_names(self.settings_cls)}
        return {name: value for name, value in found.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Asked by nobody: `__call__` gives all of them."""
        return None, field_name, False

    def _read(self, name: str) -> str | _Unusable | None:
        file = _look_up(self._variables, f"{name}_FILE")
        if file is None:
            return None
        if _look_up(self._variables, name) is not None:
            return _Unusable(f"set {name} or {name}_FILE, not both")
        shown = f"{name}_FILE ({file})"
        try:
            with Path(file).open("rb") as opened:
                content = opened.read(_LONGEST_SECRET_BYTES + 1)
            text = content.decode().rstrip("\r\n")
        except OSError as error:
            return _Unusable(f"{shown} can't be read: {error.strerror or type(error).__name__}")
        except ValueError:
            return _Unusable(f"{shown} is no text in UTF-8")
        if len(content) > _LONGEST_SECRET_BYTES:
            return _Unusable(f"{shown} has more than {_LONGEST_SECRET_BYTES >> 10} KiB: is it the right file?")
        return text or _Unusable(f"{shown} is empty")


class EnvSettings(BaseSettings):
    """Base of every settings class: environment first, then `.env`; unknown keys are other classes' business.

    A secret may come from a file (`SecretFiles`). No error shows a value that was given, and what is secret is hidden
    from logs and answers from the moment it has been read.
    """

    model_config = SettingsConfigDict(
        env_file=os.environ.get("GTM_ENV_FILE", ".env"),
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the files."""
        files = SecretFiles(settings_cls, env_settings, dotenv_settings)
        return init_settings, files, env_settings, dotenv_settings

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_unusable_file(cls, value: Any) -> Any:
        if isinstance(value, _Unusable):
            raise ValueError(value.problem)
        return value

    @model_validator(mode="after")
    def _hide_secrets(self) -> "EnvSettings":
        for value in vars(self).values():
            if isinstance(value, SecretStr):
                hide(value.get_secret_value())
        return self


def secret_names(kind: type[BaseSettings]) -> Iterator[str]:
    """The variables of its secret fields, but for those that have a NAME_FILE of their own."""
    variables = {str(field.validation_alias): field for field in kind.model_fields.values()}
    for name, field in variables.items():
        if is_secret(field) and f"{name}_FILE" not in variables:
            yield name


def is_secret(field: FieldInfo) -> bool:
    """Whether it is a SecretStr, perhaps an optional one."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def _look_up(sources: list[Mapping[str, str | None]], name: str) -> str | None:
    """Of environment variables, whose case does not count."""
    found = (source.get(name.lower()) for source in sources)
    return next((value for value in found if value is not None), None)


_SHOWN_PROBLEMS: Final = ("int_", "float_", "bool_", "literal_", "greater_", "less_")


def explain_wrong_settings(error: ValidationError) -> list[str]:
    """One `GTM_INGEST_PORT=abc: <what it should be>` per setting, for people.

    The value is left out where it is none of a number, a flag or a choice: it might be a secret.
    """
    lines = []
    for one in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in one["loc"])
        value = f"={one['input']}" if one["type"].startswith(_SHOWN_PROBLEMS) else ""
        message = one["msg"].removeprefix("Value error, ")
        lines.append(f"{name}{value}: {message}" if name else message)
    return lines
