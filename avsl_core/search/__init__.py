"""Nearest neighbours: exact by bound and verification, or fast by an index and exact re-ranking."""

from avsl_core.search.exact import ExactSearch
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.source import BLOCK_ROWS, Block, MemoryRows, RowSource

__all__ = ["BLOCK_ROWS", "Block", "ExactSearch", "MemoryRows", "Neighbours", "RowSource"]
