"""Train the models of all rankers of a recipe: one per ranker, target and fold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from src.core import store
from src.core.engines.base import Engine
from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.rankers.base import FOLD_LOG, FitTask, Ranker, RankerModel
from src.rankers.train_set import TrainSet

T = TypeVar("T")
COPIES = 3  # in memory of what a model reads beside the training table


class Target(NamedTuple):
    """A target of a ranker: one objective, or all trainable objectives."""

    ranker: Ranker
    name: str  # of the objective, or ALL
    objectives: tuple[str, ...]

    def models(self, run: Run) -> list[Path]:
        """List the files of the models, one per fold."""
        folds = range(run.recipe.folds)
        return [self.ranker.model_file(run, self.objectives[0], fold) for fold in folds]

    @property
    def score_columns(self) -> dict[str, str]:
        """Columns of the score files with the scores of the models, and the objective of each.

        A model that gives one score to all objectives has one column.
        """
        columns: dict[str, str] = {}
        for objective in self.objectives:
            columns.setdefault(self.ranker.score_column(objective), objective)
        return columns

    def load(self, run: Run, objective: str) -> list[RankerModel]:
        """Read the models that score for an objective, one per fold."""
        return [self.ranker.load(path, run).of(objective) for path in self.models(run)]


def targets(recipe: Recipe, objectives: Sequence[str]) -> list[Target]:
    """List the targets of all rankers; objectives: those that are trainable."""
    learned: dict[tuple[Ranker, str], tuple[str, ...]] = {}
    for objective in objectives:
        for ranker in recipe.rankers_of(objective):
            key = ranker, ranker.target(objective)
            learned[key] = (*learned.get(key, ()), objective)
    return [Target(*key, names) for key, names in learned.items()]


def load_models(run: Run, targets: Sequence[Target]) -> dict[str, list[RankerModel]]:
    """Read the models of each score column, one per fold."""
    columns = {column: (t, o) for t in targets for column, o in t.score_columns.items()}
    return {column: target.load(run, o) for column, (target, o) in columns.items()}


class TrainingGroup:
    """Rankers of one target that share the prepared data of a fold.

    The training set is read once for all folds, and only if a model is not up to date.
    """

    def __init__(self, run: Run, group: Sequence[Target]) -> None:
        self.run = run
        self.targets = sorted(group, key=lambda target: target.ranker.fit_order)
        self.objectives = group[0].objectives
        self.files: list[Path] = []  # of the training table
        self._train_set: TrainSet | None = None
        self._reading = Lock()  # folds train in parallel

    @property
    def name(self) -> str:
        """Name of the target, then names of the rankers."""
        return " ".join([self.targets[0].name, ", ".join(t.ranker.name for t in self.targets)])

    def train(self) -> list[bool]:
        """Train the models of all folds; return for each model whether it was trained."""
        self.files = self.targets[0].ranker.train_files(self.run, self.objectives)
        tasks = [partial(self.train_fold, fold) for fold in range(self.run.recipe.folds)]
        trained = in_parallel(self.run.engine, tasks)
        self._train_set = None  # frees the memory for the next group
        return [is_new for of_fold in trained for is_new in of_fold]

    def train_fold(self, fold: int) -> list[bool]:
        """Train the models of one fold; return for each model whether it was trained."""
        run, recipe = self.run, self.run.recipe
        tasks: dict[Path, FitTask] = {}
        for ranker, name, objectives in self.targets:
            logs = ranker.log_folder(run, objectives[0], fold)
            path = ranker.model_file(run, objectives[0], fold)
            tasks[path] = FitTask(ranker, name, fold, logs, run.engine, recipe.seed)
            if not (logs / FOLD_LOG).exists():  # train again, for the logs
                store.manifest_path(path).unlink(missing_ok=True)

        def fit(temporary: dict[Path, Path]) -> None:
            train_set, first = self.train_set(), next(iter(tasks.values()))
            data = first.ranker.prepare(run, first, train_set)
            for path, temporary_path in temporary.items():
                tasks[path].ranker.fit(tasks[path], data, temporary_path)

        settings = (self.objectives, fold, recipe.folds, recipe.seed)
        rows: dict[Path, object] = {p: (task.ranker, *settings) for p, task in tasks.items()}
        inputs = [*self.files, *self.targets[0].ranker.inputs(run)]
        built = run.build_many(rows, fit, inputs)
        return [path in built for path in tasks]

    def train_set(self) -> TrainSet:
        """Return the training set; the first call reads it and claims the memory of training."""
        with self._reading:
            if self._train_set is None:
                run, ranker = self.run, self.targets[0].ranker
                self._train_set = self.read()
                at_a_time = min(run.engine.models_at_a_time, run.recipe.folds)
                memory = ranker.memory(self._train_set, at_a_time)
                memory += COPIES * at_a_time * paths.total_size(ranker.inputs(run))
                run.budget.claim(self.name, memory)
            return self._train_set

    def read(self) -> TrainSet:
        """Read the training set."""
        return TrainSet.read(self.files, self.objectives)


def training_groups(run: Run, objectives: Sequence[str]) -> list[TrainingGroup]:
    """Group equal targets of rankers that share prepared data."""
    groups: dict[Hashable, list[Target]] = {}
    for target in targets(run.recipe, objectives):
        groups.setdefault((target.name, target.ranker.group_key()), []).append(target)
    return [TrainingGroup(run, group) for group in groups.values()]


def in_parallel(engine: Engine, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks, engine.models_at_a_time in parallel; results are in the order of the tasks."""
    with ThreadPoolExecutor(engine.models_at_a_time) as workers:
        return list(workers.map(lambda task: task(), tasks))
