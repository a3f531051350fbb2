"""Step 2: item-item matrices."""
