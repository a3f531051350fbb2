"""Steps 3 and 4: retrievers list candidates, and the pool merges their lists."""
