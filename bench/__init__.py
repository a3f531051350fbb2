"""What the steps take, how it grows, and other ways to the same: `make bench SIZE=0.01`."""
