"""Windows, the time spans they cover, folds and scaling."""
