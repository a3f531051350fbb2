"""Neural rankers: modules of torch, their inputs and their training."""
