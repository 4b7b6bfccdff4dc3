"""Model inputs, causal by construction."""
