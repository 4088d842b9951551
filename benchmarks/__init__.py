"""Questions about speed and memory: one command each, which prints ratios measured side by side in one run."""
