"""One module per dataset, each a `Recipe`; no other file names a dataset."""

from src.datasets import demo, otto, tianchi
from src.recipe import Recipe

RECIPES: dict[str, Recipe] = {r.name: r for r in (otto.RECIPE, demo.RECIPE, tianchi.RECIPE)}
