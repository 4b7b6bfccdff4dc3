"""The training loop, its checkpoints, and prediction."""
