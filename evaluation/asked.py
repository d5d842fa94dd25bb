"""Accounts that a model was really asked about: the scoring flow itself, on the marts of a past day."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from evaluation.metrics import Flags, Floats
from services.scoring.adapters.lead_model import LeadModel
from services.scoring.adapters.models import open_model
from services.scoring.domain.interview import ModelReply
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.warehouse import Warehouse


@dataclass
class AskingJob:
    """A job without a house: nobody cancels it, nobody watches."""

    job_id: str
    request: Mapping[str, Any]
    reports: list[tuple[str, int]] = field(default_factory=list)

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        self.reports.append((phase, done))

    def check(self) -> None:
        """Always goes on."""


@dataclass(frozen=True)
class Sample:
    """Places of accounts, as many with the outcome as without; a weight is how many accounts one stands for."""

    places: Sequence[int]
    weights: Floats


def draw_sample(happened: Flags, size: int, seed: int = 7) -> Sample:
    """Half with the outcome: a random sample would hold too few of them to tell anything."""
    stream = np.random.default_rng(seed)
    places, weights = [], []
    for kind in (happened, ~happened):
        found = np.flatnonzero(kind)
        chosen = stream.permutation(found)[: size // 2]
        places.append(chosen)
        weights.append(np.full(len(chosen), len(found) / len(chosen)))
    return Sample(np.concatenate(places).tolist(), np.concatenate(weights))


@dataclass(frozen=True)
class Answers:
    """One lead per account asked about, in that order."""

    leads: Sequence[Mapping[str, Any]]
    seconds: float

    @property
    def final_scores(self) -> Floats:
        return np.array([lead["lead_score"] for lead in self.leads], dtype=np.float64)

    @property
    def llm_scores(self) -> Floats:
        """The model's own; the baseline where it gave no usable answer, as the product does."""
        scores = [lead["baseline_score"] if lead["llm_score"] is None else lead["llm_score"] for lead in self.leads]
        return np.array(scores, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """How it went, whatever the outcomes."""
        return {
            "accounts": len(self.leads),
            "model": self.leads[0]["model_name"],
            "model_digest": self.leads[0]["model_digest"],
            "without_answer": sum(lead["llm_score"] is None for lead in self.leads),
            "template_pitches": sum(lead["pitch_source"] == "template" for lead in self.leads),
            "questions": sum(lead["attempts"] for lead in self.leads),
            "seconds": round(self.seconds, 1),
        }


def ask(
    warehouse: Warehouse, settings: ScoringSettings, account_ids: Sequence[str], job_id: str, *, seed_shift: int = 0
) -> Answers:
    """Score these accounts, also such as were scored before, and read their leads. `seed_shift`: with other seeds than
    the product's own, which are the same for the same question."""
    request = {"scope": {"account_ids": list(account_ids)}, "force": True}
    started = time.perf_counter()
    model = open_model(settings)
    if seed_shift:
        _shift_seeds(model, seed_shift)
    score_accounts(AskingJob(job_id, request), warehouse, model, settings)
    seconds = time.perf_counter() - started
    query = sa.text("select * from reverse_etl_outbound.lead_scores where account_id in :wanted")
    with warehouse.outbound() as connection:
        rows = connection.execute(
            query.bindparams(sa.bindparam("wanted", expanding=True)), {"wanted": list(account_ids)}
        )
        by_id = {row["account_id"]: dict(row) for row in rows.mappings()}
    return Answers([by_id[account_id] for account_id in account_ids], seconds)


def _shift_seeds(model: LeadModel, by: int) -> None:
    plain = model.ask

    async def ask_with_other_seed(
        messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        return await plain(messages, schema, (seed + by) % 2**31, num_predict)

    setattr(model, "ask", ask_with_other_seed)
