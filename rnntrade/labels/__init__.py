"""What is to be predicted: regimes with learned thresholds, and targets about the future."""
