"""What is only ever added to: trials, and openings of the sealed sessions."""
