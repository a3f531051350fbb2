"""Commands beside the steps: status, check, score, download, ablation."""
