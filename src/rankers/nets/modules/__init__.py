"""Modules of torch, which the rows of src/rankers/nets/ make."""
