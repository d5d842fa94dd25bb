"""dlt's Arrow path into DuckDB, for bench_landing: `python dlt_run.py <parquet> <folder>`. Needs dlt[duckdb] alone."""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dlt
import pyarrow as pa
import pyarrow.parquet as pq


def load(parquet: Path, folder: Path) -> float:
    """Seconds of a first load that merges by the record's key."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

    @dlt.resource(name="visits", write_disposition="merge", primary_key="record_key")  # type: ignore[misc]
    def visits() -> Iterator[pa.Table]:
        with pq.ParquetFile(parquet, pre_buffer=False) as file:
            for batch in file.iter_batches(50_000):
                yield pa.Table.from_batches([batch])

    destination = dlt.destinations.duckdb(str(folder / "dlt.duckdb"))
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="raw", pipelines_dir=str(folder / "state"))
    started = time.perf_counter()
    pipeline.run(visits())
    return time.perf_counter() - started


def main(parquet: str, folder: str) -> None:
    """Run and print."""
    seconds = load(Path(parquet), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
