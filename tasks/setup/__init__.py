"""The servers, settings and machine that a command meets."""
