"""From predictions to positions, fills, costs and a ledger."""
