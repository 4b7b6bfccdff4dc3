"""MLflow: runs, figures, registered models.  Nothing outside this package talks to it."""
