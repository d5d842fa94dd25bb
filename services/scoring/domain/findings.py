"""What the firewall has found: a code for the row of `score_rejects`, and a reason for the model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Why an answer was refused. `reason` is English, tells the model what to change, and never quotes its answer."""

    code: str
    reason: str
