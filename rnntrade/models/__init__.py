"""Networks, and the baselines that they must beat."""
