"""Random training views."""

import json

import numpy as np
import pytest
import torch

from avsl_core.errors import ConfigError, ImageError
from avsl_core.images import Augmentation, Preprocess, sample_generator, train_transform

PLAIN = Preprocess(size=32, resize=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
STILL = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
STRONG = Augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, resize=40)


def views(image, augmentation, count=200, preprocess=PLAIN):
    return [train_transform(image, preprocess, augmentation, sample_generator(0, 0, i)) for i in range(count)]


def coordinates(height, width):
    """A picture whose red is the column and whose green is the row, in pixels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG], ids=["plain", "strong"])
def test_the_view_has_the_networks_shape_and_range(photo, augmentation):
    view = train_transform(photo, Preprocess(size=32, resize=40), augmentation, sample_generator(0, 0, 0))
    assert view.shape == (3, 32, 32)
    assert view.dtype == torch.float32
    assert view.is_contiguous()
    assert -1 <= view.min() < view.max() <= 1


def test_seed_epoch_and_index_determine_the_view(photo):
    one = train_transform(photo, PLAIN, STRONG, sample_generator(7, 3, 11))
    again = train_transform(photo, PLAIN, STRONG, sample_generator(7, 3, 11))
    assert torch.equal(one, again)


@pytest.mark.parametrize("other", [(8, 3, 11), (7, 4, 11), (7, 3, 12)])
def test_another_seed_epoch_or_index_gives_another_view(photo, other):
    one = train_transform(photo, PLAIN, STRONG, sample_generator(7, 3, 11))
    assert not torch.equal(one, train_transform(photo, PLAIN, STRONG, sample_generator(*other)))


def test_a_torch_generator_serves_too(photo):
    one = train_transform(photo, PLAIN, STRONG, torch.Generator().manual_seed(5))
    again = train_transform(photo, PLAIN, STRONG, torch.Generator().manual_seed(5))
    other = train_transform(photo, PLAIN, STRONG, torch.Generator().manual_seed(6))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_global_random_state_is_neither_used_nor_changed(photo):
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    train_transform(photo, PLAIN, STRONG, sample_generator(0, 0, 0))
    assert (torch.rand(1), np.random.rand()) == expected


def test_no_freedom_gives_the_picture_itself():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    view = train_transform(pixels, PLAIN, STILL, sample_generator(0, 0, 0))
    assert torch.equal((view * 255).round().to(torch.uint8), torch.from_numpy(pixels).permute(2, 0, 1))


def test_regions_have_the_stated_areas_and_shapes():
    height, width = 120, 160
    augmentation = Augmentation(scale=(0.2, 0.6), ratio=(0.5, 2.0), flip=0.0)
    areas, ratios = [], []
    for view in views(coordinates(height, width), augmentation, 300):
        red, green = view[0] * 255, view[1] * 255
        # Neighbouring result pixels are (region / 32) source pixels apart; the edges are left out.
        across = float((red[16, 24] - red[16, 8]) * 2)
        down = float((green[24, 16] - green[8, 16]) * 2)
        areas.append(across * down / (height * width))
        ratios.append(across / down)
    assert 0.17 < min(areas) < 0.26
    assert 0.5 < max(areas) < 0.65
    assert 0.47 < min(ratios) < 0.65
    assert 1.6 < max(ratios) < 2.15
    assert abs(np.mean(areas) - 0.4) < 0.03


def test_regions_reach_every_corner_of_the_picture():
    centres = np.array(
        [[float(v[0].mean()), float(v[1].mean())] for v in views(coordinates(120, 160), Augmentation())]
    )
    low, high = centres.min(axis=0) * 255, centres.max(axis=0) * 255
    assert low[0] < 55 < 105 < high[0]
    assert low[1] < 45 < 75 < high[1]


def test_a_picture_too_narrow_for_any_region_is_cut_to_its_centre():
    augmentation = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
    view = train_transform(coordinates(20, 200), PLAIN, augmentation, sample_generator(0, 0, 0)) * 255
    assert 89 <= view[0].min() < view[0].max() <= 110


def test_half_of_the_views_are_mirrored(photo):
    free = Augmentation(scale=(1.0, 1.0), ratio=(4 / 3, 4 / 3), flip=0.5)
    mirrored = [bool(view[0, 16, 0] > view[0, 16, -1]) for view in views(photo, free, 400)]
    assert 0.4 < np.mean(mirrored) < 0.6


def test_switching_the_flip_off_leaves_the_regions_as_they_were(photo):
    with_flip, without = views(photo, Augmentation(), 20), views(photo, Augmentation(flip=0.0), 20)
    assert all(
        torch.equal(a, b) or torch.equal(a.flip(-1), b) for a, b in zip(with_flip, without, strict=True)
    )
    assert not all(torch.equal(a, b) for a, b in zip(with_flip, without, strict=True))


def test_resizing_first_blurs_small_regions():
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    sharp = views(noise, Augmentation(scale=(0.1, 0.1)), 5)
    blurred = views(noise, Augmentation(scale=(0.1, 0.1), resize=32), 5)
    assert all(b.std() < 0.6 * s.std() for s, b in zip(sharp, blurred, strict=True))


@pytest.mark.parametrize("strength", ["brightness", "contrast", "saturation", "hue"])
def test_each_colour_change_alone_changes_the_view(photo, strength):
    still = train_transform(photo, PLAIN, STILL, sample_generator(0, 0, 0))
    changed = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, **{strength: 0.4})
    assert not torch.equal(train_transform(photo, PLAIN, changed, sample_generator(0, 0, 0)), still)


def test_brightness_stays_between_its_factors():
    grey = np.full((32, 32, 3), 100, np.uint8)
    augmentation = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), brightness=0.5)
    levels = [float(view.mean()) * 255 for view in views(grey, augmentation)]
    assert 49 <= min(levels) < 60
    assert 140 < max(levels) <= 151


def test_no_saturation_left_means_grey(photo):
    from avsl_core.images.jitter import ColourFactors, jitter_colours

    grey = jitter_colours(photo, ColourFactors(1.0, 1.0, 0.0, 0.0, (0, 1, 2, 3)))
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 1], grey[..., 2])


def test_a_third_of_the_colour_circle_turns_red_into_green():
    from avsl_core.images.jitter import ColourFactors, jitter_colours

    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    turned = jitter_colours(red, ColourFactors(1.0, 1.0, 1.0, 1 / 3, (3, 2, 1, 0)))[0, 0].astype(int)
    assert np.abs(turned - (0, 255, 0)).max() <= 6


def test_the_picture_is_not_changed(photo):
    before = photo.copy()
    views(photo, STRONG, 5)
    assert np.array_equal(photo, before)


def test_anything_but_uint8_rgb_is_refused():
    with pytest.raises(ImageError, match="load_image"):
        train_transform(np.zeros((32, 32, 3)), PLAIN, STILL, sample_generator(0, 0, 0))


def test_saved_values_come_back_equal_through_json():
    assert Augmentation.from_dict(json.loads(json.dumps(STRONG.to_dict()))) == STRONG


def test_an_unknown_key_is_named():
    with pytest.raises(ConfigError, match="augmentation has no option 'colour'"):
        Augmentation.from_dict({"colour": 0.4})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale", (0.0, 1.0)),
        ("scale", (0.5, 1.5)),
        ("scale", (0.8, 0.2)),
        ("scale", 0.5),
        ("ratio", (-1.0, 1.0)),
        ("ratio", (1.0, float("inf"))),
        ("flip", 1.5),
        ("flip", "often"),
        ("resize", 0),
        ("resize", 2.5),
        ("brightness", -0.1),
        ("contrast", float("nan")),
        ("saturation", True),
        ("hue", 0.6),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"augmentation {key} is"):
        Augmentation(**{key: value})
