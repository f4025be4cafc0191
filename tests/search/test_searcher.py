"""Searching a gallery by picture: what is found, in which order, and which part decided."""

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import compare, encode_picture
from avsl_core.errors import ConfigError, GalleryError
from avsl_core.gallery import BuildOptions, Gallery, add_pictures, build_gallery, remove_pictures
from avsl_core.images import Preprocess
from avsl_core.search.fast import build_fast
from avsl_core.search.searcher import Searcher


@pytest.fixture(scope="module")
def checkpoint(avsl):
    return Checkpoint(avsl, Preprocess(size=64, resize=64))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of eight pictures: colours, each with noise of its own."""
    root, rng = tmp_path_factory.mktemp("searched") / "pictures", np.random.default_rng(0)
    for name, colour in {"red": (200, 30, 30), "green": (20, 180, 40), "blue": (30, 40, 210)}.items():
        (root / name).mkdir(parents=True)
        for number in range(8):
            noise = rng.integers(-25, 25, (9, 10, 3))
            small = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(small).resize((72, 66)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def folder(checkpoint, pictures, tmp_path):
    build_gallery(checkpoint, pictures, tmp_path / "gallery", options=BuildOptions(map="none"))
    return tmp_path / "gallery"


@pytest.fixture
def searcher(checkpoint, folder):
    return Searcher(checkpoint, Gallery.open(folder))


def test_distances_are_those_of_comparing(checkpoint, searcher, pictures):
    result = searcher.search(pictures / "red" / "0.png", 6)
    assert [hit.distance for hit in result.hits] == sorted(hit.distance for hit in result.hits)
    assert result.hits[0].item.path == pictures / "red" / "0.png"
    for hit in result.hits[1:]:
        comparison = compare(checkpoint, pictures / "red" / "0.png", hit.item.path)
        assert hit.distance == pytest.approx(comparison.distance, rel=1e-3, abs=1e-6)
        parts = {c.name: c.value for c in comparison.explanation.components}
        assert hit.parts == pytest.approx(parts, rel=1e-3, abs=1e-6)


def test_a_row_does_not_find_itself(searcher):
    row = searcher.gallery.find("green/3.png")
    result = searcher.search_row(row, 100)
    assert len(result.hits) == result.searched == 23
    assert row not in [hit.item.row for hit in result.hits]


def test_an_encoded_picture_is_not_encoded_again(checkpoint, searcher, pictures):
    encoded = encode_picture(checkpoint, pictures / "blue" / "1.png")
    first = searcher.search(encoded, 3)
    again = searcher.search(pictures / "blue" / "1.png", 3)
    assert [hit.item for hit in first.hits] == [hit.item for hit in again.hits]


def test_the_part_that_decided_saved_most(searcher):
    for weights in (None, {"level1": 0.5, "level3": 2.0}):
        for hit in searcher.search_row(0, 5, weights=weights).hits:
            used = weights or dict.fromkeys(hit.parts, 1.0)
            saved = {
                name: used.get(name, 0.0) * (searcher.typical[name] - value)
                for name, value in hit.parts.items()
            }
            assert saved[hit.decided_by] == max(saved.values())


def test_one_level_can_rank_alone(searcher):
    result = searcher.search_row(2, 23, weights={"level1": 1.0})
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores)
    assert scores == pytest.approx([hit.parts["level1"] for hit in result.hits])
    assert [h.item.row for h in result.hits] != [h.item.row for h in searcher.search_row(2, 23).hits]


def test_classes_can_be_chosen(searcher):
    result = searcher.search_row(0, 50, classes=["blue", "green"])
    assert {hit.item.class_name for hit in result.hits} == {"blue", "green"}
    assert result.searched in (len(result.hits), len(result.hits) - 1)


def test_removed_pictures_are_not_found(checkpoint, folder):
    remove_pictures(folder, ["red/1.png", "red/2.png"])
    searcher = Searcher(checkpoint, Gallery.open(folder))
    result = searcher.search_row(searcher.gallery.find("red/0.png"), 50)
    assert result.searched == len(result.hits) == 21
    assert not {"red/1.png", "red/2.png"} & {hit.item.name for hit in result.hits}


def test_fast_search_tells_its_recall(checkpoint, folder):
    gallery = Gallery.open(folder)
    build_fast(gallery, checkpoint.model.measure())
    searcher = Searcher(checkpoint, gallery)
    result = searcher.search_row(0, 5, mode="fast")
    assert result.recall == searcher.fast.recall.value
    assert [h.item.row for h in result.hits] == [h.item.row for h in searcher.search_row(0, 5).hits]
    assert searcher.search_row(0, 5).recall is None


def test_an_index_of_former_contents_is_not_used(checkpoint, folder, pictures, tmp_path):
    build_fast(Gallery.open(folder), checkpoint.model.measure())
    Image.new("RGB", (40, 40), (9, 200, 200)).save(tmp_path / "more.png")
    add_pictures(checkpoint, folder, [tmp_path / "more.png"], options=BuildOptions(map="none"))
    searcher = Searcher(checkpoint, Gallery.open(folder))
    with pytest.raises(GalleryError, match="no fast index of its present contents"):
        searcher.search_row(0, 5, mode="fast")


def test_a_damaged_index_does_not_keep_from_searching_exactly(checkpoint, folder):
    build_fast(Gallery.open(folder), checkpoint.model.measure())
    for file in (folder / "fast").iterdir():
        if file.suffix != ".json":
            file.write_bytes(file.read_bytes()[:40])
    searcher = Searcher(checkpoint, Gallery.open(folder))
    assert len(searcher.search_row(0, 3).hits) == 3
    with pytest.raises(GalleryError, match="damaged"):
        searcher.search_row(0, 3, mode="fast")


def test_many_threads_get_the_same_answers(searcher):
    from concurrent.futures import ThreadPoolExecutor

    alone = [[h.item.row for h in searcher.search_row(row, 4).hits] for row in range(24)]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda row: [h.item.row for h in searcher.search_row(row, 4).hits], range(24))
        )
    assert together == alone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "quick"}, "use exact or fast"),
        ({"weights": {"level9": 1.0}}, "no part 'level9'"),
        ({"classes": ["purple"]}, "no class 'purple'"),
        ({"k": 0}, "at least 1"),
    ],
)
def test_what_does_not_exist_is_refused(searcher, options, message):
    with pytest.raises(ConfigError, match=message):
        searcher.search_row(0, **{"k": 3} | options)


def test_a_row_that_does_not_exist_is_refused(searcher):
    with pytest.raises(IndexError):
        searcher.search_row(999, 3)


def test_another_checkpoint_is_refused(folder, new_avsl):
    other = Checkpoint(new_avsl(seed=5), Preprocess(size=64, resize=64))
    with pytest.raises(GalleryError, match="was made by checkpoint"):
        Searcher(other, Gallery.open(folder))


def test_an_empty_gallery_is_refused(checkpoint, folder):
    gallery = Gallery.open(folder)
    remove_pictures(folder, [gallery.item(row).name for row in range(len(gallery))])
    with pytest.raises(GalleryError, match="holds no picture"):
        Searcher(checkpoint, Gallery.open(folder))


def test_a_gallery_of_one_picture_finds_it(checkpoint, pictures, tmp_path):
    build_gallery(
        checkpoint, [pictures / "red" / "0.png"], tmp_path / "one", options=BuildOptions(map="none")
    )
    searcher = Searcher(checkpoint, Gallery.open(tmp_path / "one"))
    assert len(searcher.search(pictures / "red" / "1.png", 3).hits) == 1
    assert searcher.search_row(0, 3).hits == ()
    assert torch.isfinite(torch.tensor(list(searcher.typical.values()))).all()
