"""What the champion does each evening, as tasks."""
