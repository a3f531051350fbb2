"""Measure time and memory of the losses of nets, and ListMLE against a loop over its stages.

    python -m bench.losses_speed
    python -m bench.losses_speed --only ListMLE LambdaRank@10

A row is a loss. CPU times are of a call with its gradient on one thread, the median of ROUNDS
calls; they do not depend on other work on the cores. graded: 64 lists of 200 items with grades 0 to
4. binary: the same with 5 positives a list. long: 64 lists of 1,000 graded items. MiB: growth of
the resident peak over a process that has torch and the lists; a process of its own measures each
case. The loop takes one scalar per stage of each list, the sum of e^s over all items that are left;
both are measured in one process, in turn. Prints a table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from bench import measure

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.base import Loss

LISTS, ITEMS, LONG, POSITIVES, ROUNDS = 64, 200, 1000, 5, 11
LOOP_ROUNDS = 3
CASES = ("graded", "binary", "long")
RAW = argparse.RawDescriptionHelpFormatter
HEAD = (
    "loss",
    "graded, CPU ms",
    "graded, MiB",
    "binary, CPU ms",
    "binary, MiB",
    "long, CPU ms",
    "long, MiB",
)


def losses() -> dict[str, Loss]:
    """Return the rows, by the name that the table shows."""
    from src.rankers.losses.approx_ndcg import ApproxNDCG
    from src.rankers.losses.hybrid import Hybrid
    from src.rankers.losses.lambdas import LambdaLoss, LambdaRank
    from src.rankers.losses.listmle import ListMLE
    from src.rankers.losses.listnet import ListNet
    from src.rankers.losses.neural_ndcg import NeuralNDCG
    from src.rankers.losses.pairs import RankNet
    from src.rankers.losses.pointwise import BCE, SquaredError
    from src.rankers.losses.softmax import Softmax

    return {
        "BCE": BCE(), "SquaredError": SquaredError(), "Softmax": Softmax(), "ListNet": ListNet(),
        "ListMLE": ListMLE(), "ListMLE, shuffle": ListMLE("shuffle"),
        "ListMLE, exact": ListMLE("exact"), "ListMLE, efron": ListMLE("efron"),
        "ListMLE, breslow": ListMLE("breslow"), "RankNet": RankNet(),
        "RankNet, 5 partners": RankNet(sampled=5), "LambdaRank@10": LambdaRank(k=10),
        "LambdaLoss@10": LambdaLoss(k=10), "ApproxNDCG": ApproxNDCG(), "NeuralNDCG": NeuralNDCG(),
        "Hybrid, ListMLE + RankNet": Hybrid(((0.7, ListMLE()), (0.3, RankNet()))),
    }  # fmt: skip


def batch(case: str) -> tuple[Tensor, Tensor, Tensor]:
    """Draw scores, grades and offsets of a case."""
    import torch

    generator = torch.Generator().manual_seed(0)
    items = LONG if case == "long" else ITEMS
    scores = torch.randn(LISTS * items, generator=generator)
    grades = torch.randint(5, (LISTS, items), generator=generator).float()
    if case == "binary":
        grades = (torch.arange(items) < POSITIVES).float().expand(LISTS, items)
    return scores, grades.flatten(), torch.arange(0, LISTS * items + 1, items)


def seconds(call: Callable[[], Tensor], rounds: int) -> float:
    """Return the median CPU time of a call and its gradient."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call().backward()  # type: ignore[no-untyped-call]
        times.append(time.process_time() - start)
    return median(times)


def resident(name: str) -> float:
    """Return VmRSS or VmHWM of this process in MiB."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(text.split()[1]) for text in lines if text.startswith(name)) / 1024


def measure_case(name: str, case: str) -> dict[str, float]:
    """Measure one loss on one case: ms and MiB."""
    import torch

    torch.set_num_threads(1)
    row, (scores, grades, offsets) = losses()[name], batch(case)
    scores.requires_grad_()
    generator = torch.Generator().manual_seed(0)
    row(scores[:9], grades[:9], offsets[:1].new_tensor([0, 9]), generator)  # loads modules
    before = resident("VmRSS")
    rounds = 1 if case == "long" else ROUNDS
    ms = 1e3 * seconds(lambda: row(scores, grades, offsets, generator), rounds)
    return {"ms": ms, "mib": resident("VmHWM") - before}


def by_stages(scores: Tensor, grades: Tensor, offsets: Tensor) -> Tensor:
    """Compute ListMLE by a loop: a scalar for every stage of every list."""
    bounds, total = offsets.tolist(), scores.new_zeros(())
    for first, end in pairwise(bounds):
        s = scores[first:end][grades[first:end].argsort(descending=True)]
        stages = [s[i:].logsumexp(0) - s[i] for i in range(len(s) - 1)]
        value = scores.new_zeros(())
        for stage in stages:
            value = value + stage
        total = total + value / (len(s) - 1)
    return total / (len(bounds) - 1)


def against_the_loop() -> dict[str, float]:
    """Measure both on the same lists without ties, in turn; their values agree to 1e-5."""
    import torch

    from src.rankers.losses.listmle import ListMLE

    torch.set_num_threads(1)
    scores, _, offsets = batch("graded")
    scores.requires_grad_()
    order = torch.rand(LISTS, ITEMS, generator=torch.Generator().manual_seed(1))
    grades = order.argsort(1).float().flatten()
    row = ListMLE()
    difference = abs(
        row(scores, grades, offsets).item() - by_stages(scores, grades, offsets).item()
    )
    assert difference < 1e-5, f"values differ by {difference}"
    rounds = [(seconds(lambda: row(scores, grades, offsets), ROUNDS),
               seconds(lambda: by_stages(scores, grades, offsets), 1))
              for _ in range(LOOP_ROUNDS)]  # fmt: skip
    fast, slow = (median(times) for times in zip(*rounds, strict=True))
    return {"ms": 1e3 * fast, "loop_ms": 1e3 * slow, "ratio": slow / fast}


def table(names: list[str]) -> list[list[str]]:
    """Measure the rows, each case in a process of its own."""
    rows = []
    for name in names:
        cases = [measure.ask("bench.losses_speed", "--case", name, c) for c in CASES]
        rows.append([name, *(f"{case[key]:,.0f}" for case in cases for key in ("ms", "mib"))])
        print(*rows[-1], sep="  ", flush=True)
    return rows


def main(argv: list[str]) -> None:
    """Print the table; or names, one case or the loop as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--only", nargs="+", help="names of rows")
    parser.add_argument("--case", nargs=2, help="measure one row on one case, print JSON")
    parser.add_argument("--loop", action="store_true", help="measure the loop, print JSON")
    parser.add_argument("--names", action="store_true", help="print the names of rows, JSON")
    args = parser.parse_args(argv)
    if args.case or args.loop or args.names:
        answer = measure_case(*args.case) if args.case else list(losses())
        print(json.dumps(against_the_loop() if args.loop else answer))
        return
    rows = table(args.only or measure.ask("bench.losses_speed", "--names"))
    loop = measure.ask("bench.losses_speed", "--loop")
    fact = (f"ListMLE without ties {loop['ms']:.1f} CPU ms, a loop over its stages "
            f"{loop['loop_ms']:.0f}: {loop['ratio']:.0f} times")  # fmt: skip
    record = measure.origin(argv, "bench.losses_speed")
    measure.append_table(measure.title(record, fact), measure.table(HEAD, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
