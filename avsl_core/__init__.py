"""AVSL: how alike are two pictures, and why?

The public face of the library::

    import avsl_core as avsl

    model = avsl.load("default")
    result = avsl.compare(model, "a.jpg", "b.jpg")
    result.distance, result.verdict.words, result.explanation.components

    avsl.build_gallery(model, "pictures/", "gallery/")
    searcher = avsl.Searcher(model, avsl.Gallery.open("gallery/"))
    searcher.search("a.jpg", k=10).hits

A name is imported when it is first asked for: PyTorch and the networks take seconds, and many a process, such
as one that draws birds or watches over others, needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, shipped_checkpoints
    from avsl_core.comparison import Comparison, EncodedPicture, compare, compare_encoded, encode_picture
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

_HOMES = {
    "checkpoint": "Checkpoint load_checkpoint save_checkpoint shipped_checkpoints",
    "comparison": "Comparison EncodedPicture compare compare_encoded encode_picture",
    "encoding": "encode_pictures",
    "errors": "AvslError CheckpointError ConfigError DataError EncodingError GalleryError ImageError "
    "TrainingError",
    "evaluation": "Evaluation evaluate_encoding",
    "explain.sentence": "PlainWords plain_words",
    "gallery": "BuildOptions Gallery add_pictures build_gallery remove_pictures",
    "images": "Preprocess load_image",
    "models": "Component Explanation SimilarityModel build_model",
    "search.searcher": "Hit Searcher SearchResult",
    "whatif": "WhatIf what_if",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "load":
            return __getattr__("load_checkpoint")
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
