#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes scipy_reference.json: fixed data, and what NumPy and SciPy say of them. stats_test.cpp checks the C++ against it.

    pip install numpy scipy && python bench/stats/scipy_reference.py

Every sample is rounded to float32 first, as the benchmark keeps it; all else is computed in float64.
"""
import json
import pathlib

import numpy as np
import scipy
from scipy import stats


def tukey(values: np.ndarray) -> dict[str, int]:
    q1, q3 = np.percentile(values, [25, 75])
    spread = q3 - q1
    return {
        "low_severe": int(np.sum(values < q1 - 3 * spread)),
        "low_mild": int(np.sum((values < q1 - 1.5 * spread) & (values >= q1 - 3 * spread))),
        "high_mild": int(np.sum((values > q3 + 1.5 * spread) & (values <= q3 + 3 * spread))),
        "high_severe": int(np.sum(values > q3 + 3 * spread)),
    }


def interval(values: np.ndarray, statistic, method: str) -> list[float]:
    result = stats.bootstrap((values,), statistic, n_resamples=20000, batch=500, method=method, rng=np.random.default_rng(1))
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def describe(name: str, values: np.ndarray) -> dict:
    values = values.astype(np.float32).astype(np.float64)
    percents = [0, 1, 25, 50, 90, 99, 99.9, 100]
    return {
        "name": name,
        "values": values.tolist(),
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "deviation": float(np.std(values, ddof=1)),
        "percentiles": [[p, float(np.percentile(values, p))] for p in percents],
        "tukey": tukey(values),
        "bootstrap": {
            "median_percentile": interval(values, np.median, "percentile"),
            "mean_percentile": interval(values, np.mean, "percentile"),
            "mean_bca": interval(values, np.mean, "BCa"),
        },
    }


def two_runs(name: str, before: np.ndarray, after: np.ndarray) -> dict:
    """Pass medians of two runs: Yuen's test on their logarithms, and other tests of the same question."""
    before, after = (x.astype(np.float32).astype(np.float64) for x in (before, after))
    yuen = stats.ttest_ind(np.log(after), np.log(before), equal_var=False, trim=0.2)
    with np.errstate(all="ignore"):
        low, high = np.expm1(yuen_interval(np.log(before), np.log(after)))
    permutation = stats.permutation_test(
        (before, after), lambda x, y, axis: np.mean(np.log(x), axis=axis) - np.mean(np.log(y), axis=axis), vectorized=True, n_resamples=20000, rng=np.random.default_rng(1)
    )
    return {
        "name": name,
        "before": before.tolist(),
        "after": after.tolist(),
        "yuen_p": float(yuen.pvalue),
        "yuen_interval": [float(low), float(high)],
        "permutation_p": float(permutation.pvalue),
        "mann_whitney_p": float(stats.mannwhitneyu(before, after).pvalue),
    }


def yuen_interval(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """SciPy gives no interval of the trimmed test; from its own trimmed means and winsorised variances."""
    squared, freedom = [], []
    for values in (after, before):
        cut = int(0.2 * len(values))
        kept = len(values) - 2 * cut
        winsorised = np.asarray(stats.mstats.winsorize(values, (cut / len(values), cut / len(values))))
        squared.append(np.var(winsorised, ddof=1) * (len(values) - 1) / (kept * (kept - 1)))
        freedom.append(kept - 1)
    df = sum(squared) ** 2 / sum(s**2 / f for s, f in zip(squared, freedom))
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(squared))
    difference = stats.trim_mean(after, 0.2) - stats.trim_mean(before, 0.2)
    return np.array([difference - half, difference + half])


def main() -> None:
    rng = np.random.default_rng(20261124)
    skewed = rng.lognormal(np.log(9000), 0.3, 400)
    outliers = np.concatenate([rng.normal(130, 4, 300), [60, 105, 118, 160, 240, 400, 4000]])
    ties = np.round(rng.gamma(4, 10, 250) / 10) * 10
    reference = {
        "made_with": {"numpy": np.__version__, "scipy": scipy.__version__},
        "samples": [
            describe("skewed", skewed),
            describe("outliers on both sides", outliers),
            describe("many ties", ties),
            describe("below zero", rng.normal(0, 3, 101)),
            describe("seven", np.array([3.5, 1.25, 9.75, 4.0, 4.5, 5.125, 100.0])),
            describe("large", rng.lognormal(5, 0.5, 3000)),
        ],
        "runs": [
            two_runs("unchanged, three passes", rng.lognormal(2, 0.05, 3), rng.lognormal(2, 0.05, 3)),
            two_runs("doubled, three passes", np.array([9.0, 9.3, 9.1]), np.array([18.0, 18.9, 18.1])),
            two_runs("30 % more, ten passes", rng.lognormal(2, 0.05, 10), 1.3 * rng.lognormal(2, 0.05, 10)),
            two_runs("one pass in seven disturbed", rng.lognormal(2, 0.03, 7), np.append(rng.lognormal(2, 0.03, 6), 90.0)),
            two_runs("unequal spread and number", rng.lognormal(2, 0.02, 5), rng.lognormal(2.2, 0.2, 20)),
        ],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(reference, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


main()
