"""Values and ideals per query of any ranked list; bootstrap intervals."""
