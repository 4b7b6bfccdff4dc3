"""Seeds that depend on what is trained, not on the order, the workers or the machine."""

import hashlib


def derive_seed(run_seed: int, model_name: str, fold: int, member: int) -> int:
    """Return the seed of one fit, in [0, 2^32): the same names, the same seed, everywhere."""
    name = f"{run_seed}/{model_name}/{fold}/{member}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
