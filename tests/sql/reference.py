"""What Snowflake's documentation says exists, as far as the product uses it: read from `snowflake_reference.yml`."""

from pathlib import Path
from typing import Any, Final

import yaml

_DATA: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "snowflake_reference.yml").read_text())

FUNCTIONS: Final = frozenset(name.upper() for names in _DATA["functions"].values() for name in names)
"""Each has a page at https://docs.snowflake.com/en/sql-reference/functions/<name>."""
TYPES: Final = frozenset(name.upper() for name in _DATA["types"])
RESERVED_WORDS: Final = frozenset(name.upper() for name in _DATA["reserved_words"])
NEVER_NULL: Final = frozenset(_DATA["never_null"])
"""Columns of ours over which a descending order need not say where nulls go."""
