"""AVSL: how alike are two pictures, and why?

The public face of the library::

    import avsl_core as avsl

    model = avsl.load("default")
    result = avsl.compare(model, "a.jpg", "b.jpg")
    result.distance, result.verdict.words, result.explanation.components

    avsl.build_gallery(model, "pictures/", "gallery/")
    searcher = avsl.Searcher(model, avsl.Gallery.open("gallery/"))
    searcher.search("a.jpg", k=10).hits
"""

from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, shipped_checkpoints
from avsl_core.compare import Comparison, EncodedPicture, compare, compare_encoded, encode_picture
from avsl_core.encoding import encode_pictures
from avsl_core.errors import (
    AvslError,
    CheckpointError,
    ConfigError,
    DataError,
    EncodingError,
    GalleryError,
    ImageError,
    TrainingError,
)
from avsl_core.evaluation import Evaluation, evaluate_encoding
from avsl_core.explain.sentence import PlainWords, plain_words
from avsl_core.gallery import BuildOptions, Gallery, add_pictures, build_gallery, remove_pictures
from avsl_core.images import Preprocess, load_image
from avsl_core.models import Component, Explanation, SimilarityModel, build_model
from avsl_core.search.searcher import Hit, Searcher, SearchResult
from avsl_core.whatif import WhatIf, what_if

load = load_checkpoint

__all__ = [
    "AvslError",
    "BuildOptions",
    "Checkpoint",
    "CheckpointError",
    "Comparison",
    "Component",
    "ConfigError",
    "DataError",
    "EncodedPicture",
    "EncodingError",
    "Evaluation",
    "Explanation",
    "Gallery",
    "GalleryError",
    "Hit",
    "ImageError",
    "PlainWords",
    "Preprocess",
    "SearchResult",
    "Searcher",
    "SimilarityModel",
    "TrainingError",
    "WhatIf",
    "add_pictures",
    "build_gallery",
    "build_model",
    "compare",
    "compare_encoded",
    "encode_picture",
    "encode_pictures",
    "evaluate_encoding",
    "load",
    "load_checkpoint",
    "load_image",
    "plain_words",
    "remove_pictures",
    "save_checkpoint",
    "shipped_checkpoints",
    "what_if",
]
