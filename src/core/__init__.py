"""Infrastructure of all steps: files, memory, engines, arrays, training loop, exact search."""
