"""The `files` source: folders of CSV, JSONL and Parquet, through a mapping of `config/sources/`."""
