"""From files on disk to labelled pictures, divided by classes. Nothing here decodes a picture."""

from avsl_core.data.archive import extract
from avsl_core.data.cars import read_cars196
from avsl_core.data.cub import read_cub200
from avsl_core.data.cub_parts import CubParts, PartsPicture, read_cub_parts
from avsl_core.data.dataset import Box, Picture, PictureSet, merge
from avsl_core.data.folder import PICTURE_EXTENSIONS, list_pictures, read_folder
from avsl_core.data.inshop import read_inshop
from avsl_core.data.pairs import PairSet, is_pair_set, read_pairs, split_pairs
from avsl_core.data.registry import DATASETS, LoadOptions, kind_of, load_dataset
from avsl_core.data.sop import read_sop
from avsl_core.data.split_file import read_split_file, write_split
from avsl_core.data.splits import Split, hold_out_classes, split_classes
from avsl_core.data.torchvision_sets import read_torchvision

__all__ = [
    "DATASETS",
    "PICTURE_EXTENSIONS",
    "Box",
    "CubParts",
    "LoadOptions",
    "PairSet",
    "PartsPicture",
    "Picture",
    "PictureSet",
    "Split",
    "extract",
    "hold_out_classes",
    "is_pair_set",
    "kind_of",
    "list_pictures",
    "load_dataset",
    "merge",
    "read_cars196",
    "read_cub200",
    "read_cub_parts",
    "read_folder",
    "read_inshop",
    "read_pairs",
    "read_sop",
    "read_split_file",
    "read_torchvision",
    "split_classes",
    "split_pairs",
    "write_split",
]
