"""Export: one folder with all that scores raw feature rows, and its loader."""
