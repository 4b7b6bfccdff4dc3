"""Made-up markets whose best possible score is known, and what must come out on them."""
