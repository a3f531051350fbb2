"""One page about a run: report.html."""
