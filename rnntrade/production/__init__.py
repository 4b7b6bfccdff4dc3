"""In production: what a champion says today, whether to follow it, and what replaces it."""
