"""The docs site of a set: facts of its last release, collected first, and the pages that show them."""
