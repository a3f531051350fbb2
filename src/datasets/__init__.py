"""The datasets: a folder each, with its recipe, reader, splitter and writer."""

from src.data.recipe import Recipe
from src.datasets.demo.recipe import RECIPE as DEMO
from src.datasets.otto.recipe import RECIPE as OTTO
from src.datasets.tianchi.recipe import RECIPE as TIANCHI

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (OTTO, DEMO, TIANCHI)}
