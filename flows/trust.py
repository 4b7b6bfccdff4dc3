"""Commands that ask whether a result may be believed."""
