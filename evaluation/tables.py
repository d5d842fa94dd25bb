"""Results of `outcomes` as tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from evaluation.metrics import CAPACITY

BAR: Final = 0.03  # the most that the baseline's AUC may lie below the regression's


def render(result: Mapping[str, Any]) -> Iterator[str]:
    """Tables for a terminal."""
    for name, one in result["data_sets"].items():
        if "skipped" in one:
            yield f"{name}: skipped: {one['skipped']}"
            continue
        learned = " and ".join(one["learned_as_of"])
        judged = f"judged as of {one['judged_as_of']} on the {one['window_days']} days after it"
        yield f"{name}: learned as of {learned}, {judged}"
        for outcome, figures in one["outcomes"].items():
            yield ""
            yield f"  {outcome}: {figures['meaning']}"
            yield from _table(figures)
            if "asked" in figures:
                model = figures["asked"]["model"]
                yield (
                    f"  {outcome}, asked {model['model']} about {model['accounts']} accounts in {model['seconds']} s: "
                    f"{model['without_answer']} without a usable answer, {model['template_pitches']} template pitches"
                )
                yield from _table(figures["asked"])
        yield ""
    yield f"plot: evaluation/results/{result['plot']}"


def _table(judged: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {judged['with_outcome']} of {judged['accounts']} accounts have it; {judged['judged_accounts']} judged"
    precision = f"precision@{CAPACITY}"
    yield f"    {'':22}{'ROC AUC (95 %)':>22}{'PR AUC':>9}{'lift top 10 %':>15}{precision:>14}{'Brier':>9}"
    for name, figures in judged["rankings"].items():
        auc, low, high = figures["roc_auc"]
        yield (
            f"    {name:22}{f'{auc:.3f} ({low:.3f}..{high:.3f})':>22}{figures['pr_auc']:>9.3f}"
            f"{figures['lift_top_decile']:>15.2f}{figures[f'precision_at_{CAPACITY}']:>14.2f}{figures['brier']:>9.4f}"
        )
    gap, low, high = judged["auc_of_baseline_less_regression"]
    verdict = "within" if gap >= -BAR else "below"
    yield f"    baseline less regression: {gap:+.3f} ({low:+.3f}..{high:+.3f}), {verdict} the bar of -{BAR}"
    if "auc_of_final_less_baseline" in judged:
        moved, low, high = judged["auc_of_final_less_baseline"]
        yield f"    final less baseline: {moved:+.3f} ({low:+.3f}..{high:+.3f})"
