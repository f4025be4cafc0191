"""The map: alike pictures lie together."""

import numpy as np
import pytest
import torch

from avsl_core.errors import GalleryError
from avsl_core.gallery import Gallery, remove_pictures
from avsl_core.gallery.map import _principal_axes, choose_method, map_coordinates
from avsl_core.models import Rows


def test_a_map_places_every_picture_on_the_unit_square(build, pictures):
    _, gallery = build(pictures, map="pca")
    places = gallery.coordinates
    assert (places.shape, places.dtype) == ((12, 2), np.float32)
    assert np.allclose(places.min(axis=0), 0)
    assert np.allclose(places.max(axis=0), 1)
    assert len(np.unique(places, axis=0)) == 12
    assert gallery.manifest.map.method == "pca"


def test_no_map_is_made_when_none_is_wanted(build, pictures):
    _, gallery = build(pictures, map="none")
    assert gallery.coordinates is None


def test_another_map_is_made_without_encoding(build, pictures, encodings):
    build(pictures, map="none")
    before = encodings()
    _, gallery = build(pictures, map="pca")
    assert gallery.coordinates is not None
    assert encodings() == before


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_the_same_pictures_give_the_same_map(build, pictures, checkpoint, method):
    _, gallery = build(pictures)
    first, second = (map_coordinates(gallery, checkpoint.model.measure(), method) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.std() > 0.1


def test_two_axes_of_greatest_variance_are_found():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(400, 10, generator=generator) * torch.tensor([1.0, 9.0, *[0.5] * 7, 4.0])
    axes = _principal_axes(points - points.mean(dim=0))
    assert axes.abs().argmax(dim=0).tolist() == [1, 9]
    assert torch.allclose(axes.T @ axes, torch.eye(2), atol=1e-4)
    assert (axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_distances_on_weighted_columns_are_close_to_the_models(build, pictures, checkpoint):
    from avsl_core.gallery.map import _column_weights

    _, gallery = build(pictures)
    measure = checkpoint.model.measure()
    rows = gallery.read(0, 12)
    exact = torch.stack([measure.distances(rows[i : i + 1], rows) for i in range(12)])
    weighted = rows.vectors * _column_weights(gallery, measure)
    plain = torch.cdist(weighted, weighted).square()
    mean = rows.gates.mean(dim=0, keepdim=True).expand_as(rows.gates)
    alike = Rows(rows.vectors, mean)
    at_mean = torch.stack([measure.distances(alike[i : i + 1], alike) for i in range(12)])
    torch.testing.assert_close(plain, at_mean, atol=1e-4, rtol=1e-3)
    correlation = torch.corrcoef(torch.stack([plain.flatten(), exact.flatten()]))[0, 1]
    assert correlation > 0.95


@pytest.mark.parametrize("count", [1, 2, 3])
def test_even_the_smallest_gallery_has_a_map(build, tmp_path, draw, count):
    for number in range(count):
        draw(tmp_path / "few" / f"{number}.png")
    _, gallery = build(tmp_path / "few", map="umap")
    assert gallery.coordinates.shape == (count, 2)
    assert np.isfinite(gallery.coordinates).all()


def test_removing_keeps_the_places_of_the_others(build, pictures):
    _, gallery = build(pictures, map="pca")
    before = gallery.coordinates
    remove_pictures(gallery.path, ["class0/0.png"])
    assert np.array_equal(Gallery.open(gallery.path).coordinates, before)


def test_the_method_depends_on_the_number_of_pictures():
    assert [choose_method("umap", count) for count in (4, 5, 20_000)] == ["pca", "umap", "umap"]
    with pytest.raises(GalleryError, match="at most 20,000 pictures, not 20,001; use --map pca"):
        choose_method("umap", 20_001)
