"""The scripted model server as a process of its own, which can be killed: prints its URL, then serves.

`python -m tests.fakes.ollama_server --port 0 --latency-ms 300 --num-parallel 4`
"""

import argparse
import asyncio

import uvloop

from tests.fakes.ollama import FakeOllama


def main() -> None:
    """Until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.ollama_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--num-parallel", type=int, default=1)
    parser.add_argument("--load-ms", type=float, default=0)
    parser.add_argument("--model", default="llama3.1:latest")
    chosen = parser.parse_args()
    fake = FakeOllama({chosen.model: "digest-one"}, port=chosen.port)
    fake.runner.answer_seconds = chosen.latency_ms / 1000
    fake.runner.load_seconds = chosen.load_ms / 1000
    fake.runner.num_parallel = chosen.num_parallel
    print(fake.url, flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fake.serve())


if __name__ == "__main__":
    main()
