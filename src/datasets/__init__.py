"""The datasets: a folder each, with its recipe, reader, splitter and writer."""

from src.datasets.antm2c.dataset import Antm2c
from src.datasets.antm2c.demo import Antm2cDemo
from src.datasets.base import Dataset
from src.datasets.demo.dataset import Demo
from src.datasets.ebnerd.dataset import Ebnerd
from src.datasets.interactions.dataset import Interactions
from src.datasets.letor.dataset import Letor
from src.datasets.mpd.dataset import Playlists
from src.datasets.mpd.demo import PlaylistsDemo
from src.datasets.otto.dataset import Otto
from src.datasets.sequences.dataset import Sequences
from src.datasets.tianchi.dataset import Tianchi

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Otto(), Demo(), Tianchi(), Letor(), Ebnerd(), Antm2c(), Antm2cDemo(), Interactions(),
        Sequences(), Playlists(), PlaylistsDemo(),
    )
}  # fmt: skip
