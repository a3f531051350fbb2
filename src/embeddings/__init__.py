"""Step 4: item vectors and two-tower nets, and the neighbours by them."""
