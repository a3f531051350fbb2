"""Train the rankers of a recipe: a model per ranker, target and fold."""

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
from src.data.recipe import Recipe
from src.rankers.base import FOLD_LOG, FitTask, Ranker
from src.rankers.train_set import TrainSet
from src.rankers.train_table import train_files

T = TypeVar("T")


class Target(NamedTuple):
    """What the models of a ranker learn: an objective, or all that are trainable in one."""

    ranker: Ranker
    name: str
    objectives: tuple[str, ...]

    def models(self, run: Run) -> list[Path]:
        """Files of the models, one a fold."""
        folds = range(run.recipe.folds)
        return [self.ranker.model_file(run, self.objectives[0], fold) for fold in folds]

    @property
    def score_column(self) -> str:
        """Column of the score files that the models fill."""
        return self.ranker.score_column(self.objectives[0])


def targets(recipe: Recipe, objectives: Sequence[str]) -> list[Target]:
    """The targets of all rankers, for objectives that are trainable."""
    by_target: dict[tuple[Ranker, str], tuple[str, ...]] = {}
    for objective in objectives:
        for ranker in recipe.rankers:
            key = ranker, ranker.target(objective)
            by_target[key] = (*by_target.get(key, ()), objective)
    return [Target(*key, of) for key, of in by_target.items()]


class TrainingGroup:
    """Rankers that learn one target from the same prepared data of each fold.

    The training set is read with the first model that is not up to date, once for all folds.
    """

    def __init__(self, run: Run, group: Sequence[Target]) -> None:
        self.run = run
        self.targets = sorted(group, key=lambda target: target.ranker.fit_order)
        self.objectives = group[0].objectives
        self._train_set: TrainSet | None = None
        self._reading = Lock()  # folds train in parallel

    @property
    def name(self) -> str:
        """The target, and the names of the rankers."""
        return " ".join([self.targets[0].name, ", ".join(t.ranker.name for t in self.targets)])

    def train(self) -> list[bool]:
        """Train the models of all folds; tell of each whether it had to be trained."""
        folds = [partial(self.train_fold, fold) for fold in range(self.run.recipe.folds)]
        built = in_parallel(self.run.engine, folds)
        self._train_set = None  # the memory is for the next group
        return [model for fold in built for model in fold]

    def train_fold(self, fold: int) -> list[bool]:
        """Train the models of one fold."""
        run, recipe, files = self.run, self.run.recipe, train_files(self.run)
        tasks: dict[Path, FitTask] = {}
        for ranker, name, objectives in self.targets:
            logs = ranker.log_folder(run, objectives[0], fold)
            path = ranker.model_file(run, objectives[0], fold)
            tasks[path] = FitTask(ranker, name, fold, logs, run.engine, recipe.seed)
            if not (logs / FOLD_LOG).exists():  # a model without its logs is trained again
                store.manifest_path(path).unlink(missing_ok=True)

        def fit(parts: dict[Path, Path]) -> None:
            train_set, first = self.train_set(), next(iter(tasks.values()))
            data = first.ranker.prepare(run, first, train_set)
            for path, part in parts.items():
                tasks[path].ranker.fit(tasks[path], data, part)

        numbers = (self.objectives, fold, recipe.folds, recipe.seed)
        rows: dict[Path, object] = {p: (task.ranker, *numbers) for p, task in tasks.items()}
        built = run.build_many(rows, fit, files)
        return [path in built for path in tasks]

    def train_set(self) -> TrainSet:
        """Read the training set, and claim what training takes, when first called."""
        with self._reading:
            if self._train_set is None:
                run, ranker = self.run, self.targets[0].ranker
                self._train_set = TrainSet.read(train_files(run), self.objectives)
                at_a_time = min(run.engine.models_at_a_time, run.recipe.folds)
                memory = ranker.memory(self._train_set, at_a_time)
                run.budget.claim(self.name, memory)
            return self._train_set


def training_groups(run: Run, objectives: Sequence[str]) -> list[TrainingGroup]:
    """Group the targets whose rankers share their prepared data."""
    groups: dict[Hashable, list[Target]] = {}
    for target in targets(run.recipe, objectives):
        groups.setdefault((target.name, target.ranker.group_key()), []).append(target)
    return [TrainingGroup(run, group) for group in groups.values()]


def in_parallel(engine: Engine, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run as many tasks at a time as the engine trains models; results in order."""
    with ThreadPoolExecutor(engine.models_at_a_time) as workers:
        return list(workers.map(lambda task: task(), tasks))
