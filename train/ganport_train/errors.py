"""What can go wrong in training: each text says what was given, what is wanted and what to do."""


class TrainError(Exception):
    """Base of every error that a user of the training part can mend."""


class ConfigError(TrainError):
    """A setting that is unknown, out of range or contradicts another."""


class DataError(TrainError):
    """A source of images that cannot be read, or holds nothing to train on."""


class CheckpointError(TrainError):
    """A run directory or checkpoint that is missing, damaged or belongs to other settings."""


class DivergedError(TrainError):
    """A loss or weight that is no longer a finite number."""
