"""What a model is asked, one file a kind; see `rnntrade.protocols.Objective`."""
