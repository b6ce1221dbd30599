"""The seeds of all latents that an export uses: none serves two ends, or figures would praise what fitted them."""

__all__ = ["CALIBRATION", "FIDELITY", "HELD_OUT", "MODULE_CHECK", "PARITY", "PROBE", "SAMPLES"]

SAMPLES = 0  # samples.png: `ganport generate --seed 0` makes the same
MODULE_CHECK = 1000  # whether a user's module is a generator at all
PARITY = (1001, 1002, 1003)  # graphs against the network in float64
CALIBRATION = 1101  # ranges of values, for int8 and fp16
HELD_OUT = 1102  # choices that are made by measured image error
FIDELITY = 1103  # what the manifest says of a variant, and its strip
PROBE = 1104  # the images that a plan must make before it is used
