"""llama.cpp's own HTTP server with the small model: `python -m local.llama_server --port 8080`.

It speaks OpenAI's API (/v1/chat/completions, /v1/models), so that GTM_MODEL_API=openai can be tried on a machine that
has neither vLLM nor LM Studio. The model's name is the same as that of `local.model_server`.
"""

import argparse
import signal
import sys
import threading

import xllamacpp

from local.model_engine import to_params
from local.model_file import find_model_file
from local.settings import ModelSettings
from shared.errors import GtmError


def main(arguments: list[str] | None = None) -> int:
    """Load the model, say so, and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.llama_server", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one, which is printed")
    chosen = parser.parse_args(arguments)
    settings = ModelSettings()
    try:
        file = find_model_file()
    except GtmError as error:
        print(f"{error.title}: {error.detail}", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    params = to_params(
        file.path, slots=settings.parallel, context_tokens=settings.context_tokens, threads=settings.threads
    )
    params.hostnames, params.port, params.model_alias = ["127.0.0.1"], chosen.port, {file.name}
    server = xllamacpp.Server(params)
    print(f"{file.name} is loaded; serving OpenAI's API on {server.listening_address}", flush=True)
    ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
