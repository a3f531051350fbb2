"""Any log of interactions: who did what to which item, and when."""
