"""Serving: answer one query at a time with the files and models of a finished run."""
