"""What step 1 writes and all others read: tables, sessions, shards, folds, recipes."""
