import pytest

from app.work.examples import EXAMPLES, load_pairs, thumbnail
from avsl_core.errors import DataError
from avsl_core.images import load_image


def test_several_pairs_come_with_the_project():
    pairs = load_pairs()
    assert len(pairs) >= 5
    assert all(pair.title and pair.lesson for pair in pairs)


def test_every_picture_is_small_and_can_be_read():
    for pair in load_pairs():
        for file in (pair.a, pair.b):
            assert load_image(file.path).shape == (448, 448, 3)
            assert file.path.stat().st_size < 25_000


def test_every_shipped_picture_is_in_a_pair():
    used = {file.path for pair in load_pairs() for file in (pair.a, pair.b)}
    assert used == set(EXAMPLES.glob("*.webp"))


def test_thumbnails_need_no_request():
    assert thumbnail(load_pairs()[0]).startswith("data:image/webp;base64,")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[]", "lists no pair"), ("{", "not a list"), ('[{"title": 1}]', "not a list"),
     ('[{"title": "t", "lesson": "l", "a": "no.webp", "b": "no.webp"}]', "names no.webp")],
)  # fmt: skip
def test_a_damaged_listing_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "pairs.json").write_text(text)
    with pytest.raises(DataError, match=message):
        load_pairs(tmp_path)


def test_a_missing_listing_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_pairs(tmp_path)
