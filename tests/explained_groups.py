"""Windows of real lines of a supercomputer, most of them calm, for tests of explanations."""

from functools import cache

from checkpoints import tiny_encoder

from biglog.inference.detector import AnomalyDetector

# Contents of Loghub's BGL_2k: https://github.com/logpai/loghub
CALM = (
    "instruction cache parity error corrected",
    "63543 double-hummer alignment exceptions",
    "generating core.2275",
    "CE sym 2, at 0x0b85eee0, mask 0x05",
    "total of 1 ddr error(s) detected and corrected",
)
ODD = "ciod: failed to read message prefix on control stream (CioStream socket to 172.16.96.116:33569"
PANIC = "rts panic! - stopping execution"
WORDING = "instruction cache parity error was corrected"


def calm(count, lines=8):
    """Windows of calm lines, no two in a row alike."""
    return [[CALM[(start + place * (1 + start % 3)) % 5] for place in range(lines)] for start in range(count)]


@cache
def detector(method="novelty"):
    """A detector that has learnt from calm windows."""
    return AnomalyDetector(tiny_encoder(), method).fit(calm(60))


@cache
def classifier(method):
    """One that has learnt from calm windows and from odd ones."""
    odd = [[*window[:-1], ODD if place % 2 else PANIC] for place, window in enumerate(calm(20))]
    return AnomalyDetector(tiny_encoder(), method).fit(calm(60) + odd, [0] * 60 + [1] * 20)
