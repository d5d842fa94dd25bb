"""config/scoring_weights.yml on disk."""

import hashlib
from pathlib import Path

import yaml
from pydantic import ValidationError

from services.transform.domain.scoring_weights import ScoringWeights
from shared.errors import TerminalError


def read_scoring_weights(path: Path) -> tuple[ScoringWeights, str]:
    """The checked weights and the sha256 of their file.

    Raises:
        TerminalError: `scoring-weights-invalid`, naming the field and what is wrong with it.
    """
    try:
        content = path.read_bytes()
        weights = ScoringWeights.model_validate(yaml.safe_load(content))
    except OSError as error:
        raise _invalid(path, f"can't be read ({error.strerror}). Set GTM_SCORING_WEIGHTS to the file.") from error
    except yaml.YAMLError as error:
        raise _invalid(path, f"is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise _invalid(path, f"{field}: {first['msg']}", field=field) from error
    return weights, hashlib.sha256(content).hexdigest()


def _invalid(path: Path, reason: str, field: str | None = None) -> TerminalError:
    return TerminalError(
        f"{path.name}: {reason}",
        code="scoring-weights-invalid",
        title="The scoring weights are not valid",
        field=field,
    )
