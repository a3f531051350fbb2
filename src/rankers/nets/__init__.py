"""Neural rankers: architectures, their inputs and their training; torch lies in modules/."""
