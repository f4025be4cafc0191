"""Pictures at the edge of the library: decoded once, carefully, and prepared for a network."""

from avsl_core.images.augment import Augmentation, sample_generator, train_transform
from avsl_core.images.decode import load_image
from avsl_core.images.formats import PICTURE_SUFFIXES
from avsl_core.images.limits import ImageLimits
from avsl_core.images.preprocess import Preprocess
from avsl_core.images.source import ImageSource

__all__ = [
    "PICTURE_SUFFIXES",
    "Augmentation",
    "ImageLimits",
    "ImageSource",
    "Preprocess",
    "load_image",
    "sample_generator",
    "train_transform",
]
