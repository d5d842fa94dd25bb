"""config/scoring_weights.yml on disk."""

import hashlib
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from services.transform.domain.scoring_weights import ScoringWeights
from shared.errors import TerminalError

_MOST_ERRORS: Final = 5


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that occurs twice: YAML keeps the last one, and the editor of the first would wonder for long."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} occurs twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_scoring_weights(path: Path) -> tuple[ScoringWeights, str]:
    """The checked weights and the sha256 of their file.

    Raises:
        TerminalError: `scoring-weights-invalid`, naming each field and what is wrong with it, the first five.
    """
    try:
        content = path.read_bytes()
        loaded = yaml.load(content, _OnceLoader)  # nosec B506 - a SafeLoader
        weights = ScoringWeights.model_validate(loaded)
    except OSError as error:
        raise _invalid(path, f"can't be read ({error.strerror}). Set GTM_SCORING_WEIGHTS to the file.") from error
    except yaml.YAMLError as error:
        raise _invalid(path, f"is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        found = error.errors()
        fields = [_place(one["loc"]) for one in found]
        told = [
            f"{field}: {one['msg'].removeprefix('Value error, ')}" for field, one in zip(fields, found, strict=True)
        ]
        more = f" (and {len(told) - _MOST_ERRORS} more)" if len(told) > _MOST_ERRORS else ""
        raise _invalid(path, "; ".join(told[:_MOST_ERRORS]) + more, field=fields[0]) from error
    return weights, hashlib.sha256(content).hexdigest()


def _place(parts: tuple[int | str, ...]) -> str:
    """`engagement.visits.bands[2].points`, bands counted from 0; `the file` where all of it is wrong."""
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return named.removeprefix(".") or "the file"


def _invalid(path: Path, reason: str, field: str | None = None) -> TerminalError:
    return TerminalError(
        f"{path.name}: {reason}",
        code="scoring-weights-invalid",
        title="The scoring weights are not valid",
        field=field,
    )
