"""Write one folder with all that scores raw feature rows as the run does.

    python -m src.tools.export --dataset otto        (or: make export DATASET=otto)

Needs steps 1 to 7, and the packages of requirements-export.txt where the recipe has nets.
Writes output/<dataset>/export/: manifest.json, items.parquet, models/. docs/export.md has a loader.
"""

from __future__ import annotations

from src.cli import main
from src.core.run import Run
from src.data.paths import total_size
from src.export.write import export_folder, write_bundle
from src.tools.status import require_fresh


def body(run: Run) -> None:
    """Write the bundle, and print where it lies; ValueError where the run is stale."""
    require_fresh(run)
    with run.step("export") as summary:
        manifest = write_bundle(run)
        summary["models"] = len(manifest.models)
        folder = export_folder(run)
        summary["MiB"] = round(total_size(folder / name for name in manifest.files) / 2**20, 1)
    print(folder)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
