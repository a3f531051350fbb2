"""Turn the raw files into events, queries and labels of all splits.

    python 1_preparation.py --dataset otto

Reads  input/<dataset>: the competition's files
Writes output/<dataset>/{items.parquet,splits.json} and, for <split> in valid, test, train_<n>:
       output/<dataset>/<split>/{sessions,events,labels}.parquet (no labels in test, unless the
       raw files have them); given.parquet where the raw files give the candidates
"""

from src.cli import main
from src.core.run import Run


def body(run: Run) -> None:
    run.dataset.prepare(run)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
