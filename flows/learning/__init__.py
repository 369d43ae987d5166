"""What models learn from, where SQL cannot make it: pixels, measured and varied. Knows nothing of the lake."""
