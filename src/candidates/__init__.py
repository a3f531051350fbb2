"""Step 3: retrievers propose candidates; the pool merges them."""
