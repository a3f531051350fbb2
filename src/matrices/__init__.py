"""Step 2: matrices with the top neighbours of every item."""
