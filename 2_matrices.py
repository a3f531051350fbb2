"""Count every item-item matrix of the recipe, for all splits.

    python 2_matrices.py --dataset otto

Reads  output/<dataset>/<split>/events.parquet  (step 1)
Writes output/<dataset>/<split>/matrices/<row>.parquet: item_x, item_y, weight, heaviest first
(On the CPU, rows that look at the same event types share one walk over the sessions, those of
similar reach together: at most 8, and as many as the memory allows.)
"""

from src.cli import main
from src.core.parquet import count_rows
from src.core.run import Run
from src.matrices.build import Counter
from src.matrices.rows import SwingMatrix


def body(run: Run) -> None:
    for split in run.splits():
        events = run.output / split / "events.parquet"
        run.need([events])
        counter = Counter(run, split)
        for rows in counter.groups():
            paths = {run.table(split, row.name): row for row in rows}
            with run.step(f"{split} {', '.join(row.name for row in rows)}") as facts:
                facts["made"] = len(run.build_many(dict(paths), counter.writer(paths), [events]))
                facts["neighbours"] = count_rows(*paths)
        for row in run.recipe.matrices:
            if isinstance(row, SwingMatrix):
                path = run.table(split, row.name)
                with run.step(f"{split} {row.name}") as facts:
                    facts["made"] = int(run.build(path, counter.swing_writer(row), row, [events]))
                    facts["neighbours"] = count_rows(path)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
