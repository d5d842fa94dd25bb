"""The editable texts: the prompt and the pitch policy, read from YAML and versioned by the file's hash."""

import hashlib
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.prompt import Prompt
from shared.errors import TerminalError

_Text = TypeVar("_Text", bound=BaseModel)


def read_prompt(path: Path) -> Prompt:
    """Raises TerminalError `scoring-text-invalid`, naming the file and the key."""
    return _read(path, Prompt)


def read_policy(path: Path) -> PitchPolicy:
    """Raises TerminalError `scoring-text-invalid`, naming the file and the key."""
    return _read(path, PitchPolicy)


def _read(path: Path, model: type[_Text]) -> _Text:
    try:
        content = path.read_bytes()
        parsed = yaml.safe_load(content)
        if not isinstance(parsed, dict):
            raise ValueError("the file is not a mapping of keys")
        return model.model_validate({**parsed, "version": hashlib.sha256(content).hexdigest()[:12]})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = str(error)
    raise TerminalError(
        f"{path.name}: {problem}. Mend the file, or set GTM_PROMPT_PATH or GTM_PITCH_POLICY_PATH to another one.",
        code="scoring-text-invalid",
        title="A text of the scoring service can't be read",
    )
