"""Rates, how sure they are, and when a difference is certain although it was looked at every day.

Looking until something is significant finds differences where there are none. Here the bound is O'Brien and Fleming's
for looks without end (Biometrics 35, 1979; Lan and DeMets, Biometrika 70, 1983): with t the share of the planned
visitors seen so far, Z sqrt(t) is a Brownian motion that starts at 0, and by the reflection principle it leaves
[-c, c] before t = 1 with probability 4 (1 - Phi(c)) at most. So a difference is certain once |Z| > c / sqrt(t),
however often somebody looks until then; the intervals shown are the repeated ones that belong to it (Jennison and
Turnbull, J. R. Stat. Soc. B 51, 1989).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erfc, exp, lgamma, log, sqrt
from statistics import NormalDist

NORMAL = NormalDist()
ALPHA = 0.05  # of a difference found where there is none, over all looks and all variants
POWER = 0.8
CONFIDENCE = 0.95
RATIO_ALPHA = 0.001  # below it, visitors were not divided as the weights say
LONG = 1_000_000_000  # visitors: more than any table counts


@dataclass(frozen=True)
class Rate:
    """A share of things that happened, with its 95 % interval."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        return self.hits / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.count)


@dataclass(frozen=True)
class Difference:
    """A variant's rate less the control's, with an interval that holds however often it is looked at."""

    value: float
    low: float
    high: float
    lift: float | None
    """Relative to the control's rate; None where that is 0."""
    seen: float
    """Share of the planned visitors, 1 at most."""

    @property
    def certain(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """better, worse, open (not yet conclusive) or same (all were seen, and chance explains it)."""
        if self.certain:
            return "better" if self.value > 0 else "worse"
        return "same" if self.seen >= 1 else "open"


def wilson(hits: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share (J. Am. Stat. Assoc. 22, 1927); (0, 1) where nothing was counted."""
    if not count:
        return 0.0, 1.0
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    share, spread = hits / count, z * z / count
    middle = share + spread / 2
    half = z * sqrt((share * (1 - share) + spread / 4) / count)
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def lift(ours: Rate, theirs: Rate) -> tuple[float, float, float] | None:
    """By how much a rate is above another, relatively, with a 95 % interval (delta method on the logarithm); None where
    either is 0."""
    if not (ours.hits and theirs.hits):
        return None
    z = NORMAL.inv_cdf(0.5 + CONFIDENCE / 2)
    half = z * sqrt(sum((1 - rate.value) / rate.hits for rate in (ours, theirs)))
    ratio = ours.value / theirs.value
    return ratio - 1, ratio * exp(-half) - 1, ratio * exp(half) - 1


def bound(variants: int = 1) -> float:
    """c of the module's docstring, where so many variants are compared with the control (Bonferroni)."""
    return NORMAL.inv_cdf(1 - ALPHA / (4 * variants))


def needed(baseline: float, least_effect: float, variants: int = 1) -> int:
    """Visitors of each variant by which a relative difference of `least_effect` is found with probability POWER.

    Up or down, whichever needs more. Raises ValueError for a baseline that is not between 0 and 1.
    """
    if not 0 < baseline < 1:
        raise ValueError(f"The control's rate must be between 0 and 1, not {baseline}.")
    drift, most = _drift(bound(variants)), 0
    for other in (baseline * (1 + least_effect), baseline * (1 - least_effect)):
        other = min(max(other, 0.0), 1.0)
        spread = baseline * (1 - baseline) + other * (1 - other)
        most = max(most, ceil(drift**2 * spread / (other - baseline) ** 2))
    return min(most, LONG)


def difference(control: Rate, variant: Rate, planned: int, variants: int = 1) -> Difference:
    """Compare two rates of visitors; `planned` of each were to be seen.

    A success and a failure are added to each (Agresti and Caffo, Am. Stat. 54, 2000): rates of 0 have a spread too.
    """
    if not (control.count and variant.count):
        return Difference(0.0, -1.0, 1.0, None, 0.0)
    ours, theirs = ((rate.hits + 1) / (rate.count + 2) for rate in (variant, control))
    spread = ours * (1 - ours) / (variant.count + 2) + theirs * (1 - theirs) / (control.count + 2)
    seen = 2 / (1 / control.count + 1 / variant.count) / max(planned, 1)
    half = bound(variants) / sqrt(min(seen, 1.0)) * sqrt(spread)
    value = ours - theirs
    relative = variant.value / control.value - 1 if control.hits else None
    return Difference(
        variant.value - control.value, max(value - half, -1.0), min(value + half, 1.0), relative, min(seen, 1.0)
    )


def ratio_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """How likely chance divides visitors at least as unevenly as this: Pearson's chi-square test."""
    total, in_all = sum(counts), sum(weights)
    if not total or len(counts) < 2:
        return 1.0
    expected = [total * weight / in_all for weight in weights]
    statistic = sum((count - due) ** 2 / due for count, due in zip(counts, expected, strict=True))
    return chi_square_tail(statistic, len(counts) - 1)


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(X >= statistic) of a chi-square variable with whole degrees of freedom (Abramowitz and Stegun 26.4.4-5)."""
    half, odd = statistic / 2, degrees % 2
    if half <= 0:
        return 1.0
    powers = [step + odd / 2 for step in range(degrees // 2)]
    series = sum(exp(power * log(half) - half - lgamma(power + 1)) for power in powers)
    return min(1.0, series + (erfc(sqrt(half)) if odd else 0.0))


def _drift(c: float) -> float:
    """The drift of the Brownian motion that leaves by c before t = 1 with probability POWER."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        leaves = NORMAL.cdf(middle - c) + exp(2 * middle * c) * NORMAL.cdf(-middle - c)
        low, high = (middle, high) if leaves < POWER else (low, middle)
    return high
