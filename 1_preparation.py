"""Turn the raw files into events, queries and labels of both splits.

    python 1_preparation.py --dataset otto

Reads  input/<dataset>: the competition's files, as the recipe's `prepare` wants them
Writes output/<dataset>/aids.parquet and, for <split> in valid, test:
       output/<dataset>/<split>/{sessions,events}.parquet, valid/labels.parquet
"""

from src.run import Run, main


def body(run: Run) -> None:
    run.recipe.prepare(run)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
