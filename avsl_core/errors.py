"""The family of errors that this library raises on purpose.

Every message says what was wrong, with which file or key, and what to do about it, in one line: the
command line and the app show it as it is.
"""

__all__ = [
    "AvslError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "EncodingError",
    "GalleryError",
    "ImageError",
    "MissingPackageError",
    "TrainingError",
]


class AvslError(Exception):
    """Base of every error that a caller can cause and can mend."""


class ImageError(AvslError):
    """A picture could not be read, or is too large to read safely."""


class DataError(AvslError):
    """A data set, split or archive is missing, incomplete or not laid out as expected."""


class ConfigError(AvslError):
    """An option is unknown, missing or out of range."""


class MissingPackageError(ConfigError):
    """A package that only some methods need is not installed."""


class CheckpointError(AvslError):
    """A checkpoint is missing, damaged, or not one of ours."""


class EncodingError(AvslError):
    """Two encodings do not belong together, or lack what an operation needs."""


class GalleryError(AvslError):
    """A gallery is missing, damaged, in use, unfinished, or was made by another checkpoint."""


class TrainingError(AvslError):
    """A training run cannot start, continue or resume."""
