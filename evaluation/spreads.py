"""What moved between answers to the same questions. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from evaluation.asked import Answers


def summarise(rounds: Sequence[Answers]) -> dict[str, Any]:
    """`spread` is the largest value less the smallest, of one account."""
    accounts = [_compare([answers.leads[place] for answers in rounds]) for place in range(len(rounds[0].leads))]

    def spread(name: str) -> dict[str, float]:
        spreads = [max(known) - min(known) for one in accounts if (known := _known(one[name]))]
        return {"mean": round(mean(spreads), 2), "largest": max(spreads)} if spreads else {}

    return {
        "model": rounds[0].leads[0]["model_name"],
        "accounts_asked": len(accounts),
        "repeats": len(rounds),
        "spread_of_llm_score": spread("llm_score"),
        "spread_of_final_score": spread("lead_score"),
        "accounts_with_one_tier": sum(len(set(one["tier"])) == 1 for one in accounts),
        "accounts_with_one_pitch_source": sum(len(set(one["pitch_source"])) == 1 for one in accounts),
        "accounts_with_one_pitch": sum(one["pitches"] == 1 for one in accounts),
        "template_pitches": sum(source == "template" for one in accounts for source in one["pitch_source"]),
        "answers": len(accounts) * len(rounds),
        "by_account": accounts,
    }


def _known(values: Sequence[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _compare(leads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = ("llm_score", "lead_score", "tier", "pitch_source")
    told: dict[str, Any] = {name: [lead[name] for lead in leads] for name in columns}
    return {
        "account_id": leads[0]["account_id"],
        "baseline_score": leads[0]["baseline_score"],
        **told,
        "pitches": len({lead["pitch"] for lead in leads}),
    }


def render(result: Mapping[str, Any]) -> Iterator[str]:
    """Figures, then a line per account."""
    for name, value in result.items():
        if name != "by_account":
            yield f"  {name.replace('_', ' ')}: {value}"
    for one in result["by_account"]:
        yield (
            f"  {one['account_id']}: baseline {one['baseline_score']}, LLM {one['llm_score']},"
            f" final {one['lead_score']}, tiers {''.join(one['tier'])}, {one['pitches']} pitches"
        )


def render_all(result: Mapping[str, Any]) -> Iterator[str]:
    """Each way of asking after the other."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield f"{name.replace('_', ' ')}:"
            yield from render(value)
        else:
            yield f"{name}: {value}"
