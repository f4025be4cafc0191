"""draw_retrieval: queries and neighbours on a sheet, right and wrong told apart without colour too."""

import numpy as np
import pytest

from avsl_core.explain.retrieval import OTHER, SAME, RetrievalRow, Tile, draw_retrieval


def flat(value, side=40):
    return np.full((side, side, 3), value, np.uint8)


def has(sheet, colour):
    return bool((sheet == np.array(colour, np.uint8)).all(axis=2).any())


def sheet_of(same, count=1):
    return draw_retrieval([RetrievalRow(Tile(flat(200), "query"), [Tile(flat(90), "0.1", same)] * count)])


def test_frames_say_right_wrong_or_unknown():
    assert has(sheet_of(True), SAME) and not has(sheet_of(True), OTHER)
    assert has(sheet_of(False), OTHER) and not has(sheet_of(False), SAME)
    assert not has(sheet_of(None), SAME) and not has(sheet_of(None), OTHER)


def test_right_and_wrong_differ_in_shape_as_well():
    """With the frame's colour taken out, a tick and a cross remain."""
    ticked, crossed = (
        np.where((sheet == np.array(colour)).all(axis=2, keepdims=True), 0, sheet)
        for sheet, colour in ((sheet_of(True), SAME), (sheet_of(False), OTHER))
    )
    assert not np.array_equal(ticked, crossed)


def test_pictures_are_shown_as_they_are():
    sheet = draw_retrieval([RetrievalRow(Tile(flat(200)), [Tile(flat(90))])], side=40)
    for value in (200, 90):
        assert ((sheet == value).all(axis=2).sum()) == 40 * 40


def test_one_line_per_query_as_wide_as_the_longest():
    one = draw_retrieval([RetrievalRow(Tile(flat(1)), [Tile(flat(2))] * 3)])
    two = draw_retrieval([RetrievalRow(Tile(flat(1)), [Tile(flat(2))] * n) for n in (1, 3)])
    assert two.shape[1] == one.shape[1]
    assert two.shape[0] > 1.8 * one.shape[0]
    assert (one.dtype, one.shape[2]) == (np.uint8, 3)


def test_captions_are_cut_to_the_width_of_their_picture():
    rows = [[Tile(flat(2), text)] for text in ("a", "a" * 500)]
    short, long = (draw_retrieval([RetrievalRow(Tile(flat(1)), tiles)]) for tiles in rows)
    assert short.shape == long.shape
    assert (long[:, -4:] == 255).all()


def test_a_query_without_neighbours_stands_alone():
    assert draw_retrieval([RetrievalRow(Tile(flat(1)), [])]).shape[1] > 128


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="at least one row"):
        draw_retrieval([])
