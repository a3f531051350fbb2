"""Count every item-item matrix of the recipe, for all splits.

    python 2_matrices.py --dataset otto

Reads  output/<dataset>/<split>/events.parquet  (step 1)
Writes output/<dataset>/<split>/matrices/<matrix>.parquet: item_x, item_y, weight, heaviest first
(On the CPU, co-visitation matrices of the same event types share one walk over the sessions.)
"""

from src.cli import main
from src.core.parquet import count_rows
from src.core.run import Run
from src.data.split_data import SplitData
from src.data.splits import matrix_splits
from src.matrices.build import build_group, groups, neighbour_files


def body(run: Run) -> None:
    if not run.recipe.matrices:
        print("nothing to do: the recipe has no matrices")
    for split in matrix_splits(run):
        data = SplitData(run, split)
        for group in groups(data):
            with run.step(f"{split} {', '.join(row.name for row in group)}") as summary:
                summary["built"] = len(build_group(data, group))
                summary["neighbours"] = count_rows(*neighbour_files(run, split, group))


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
