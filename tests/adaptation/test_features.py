"""Features of frozen networks: what they are, what is left out, and the file that keeps them."""

import logging
import shutil

import numpy as np
import pytest
import torch

from avsl_core.adaptation import (
    cached_features,
    default_levels,
    extract_features,
    frozen_model,
    preprocess_of,
)
from avsl_core.batches import MemoryBatches
from avsl_core.errors import ConfigError, DataError
from avsl_core.extraction import Listed
from avsl_core.images import Preprocess, load_image


@pytest.fixture
def listed(pair_set, tmp_path):
    """Copies of six pictures, to be changed at will."""
    copies = [tmp_path / path.name for path in pair_set.left[:6]]
    for path, copy in zip(pair_set.left, copies, strict=False):
        shutil.copy(path, copy)
    return [Listed(copy, copy.name) for copy in copies]


@pytest.fixture
def scarce(frozen):
    """A network whose device has room for three pictures a pass; what it was asked for."""
    asked = []

    def refuse(module, arguments):
        asked.append(len(arguments[0]))
        if len(arguments[0]) > 3:
            raise torch.OutOfMemoryError("no room")

    handle = frozen.trunk.register_forward_pre_hook(refuse)
    yield frozen, asked
    handle.remove()


class TestNetwork:
    def test_offers_all_its_stages(self, frozen):
        assert frozen.trunk.config.levels == (0, 1, 2, 3, 4)
        assert frozen.config.kind == "dummy"
        assert default_levels("vit_tiny_patch16_224") == tuple(range(12))
        assert default_levels("clip:RN50x4") == (1, 2, 3, 4, "head")

    def test_sees_what_its_makers_say(self, frozen):
        seen = preprocess_of(frozen)
        assert (seen.size, seen.resize, seen.interpolation) == (224, 256, "bicubic")
        assert seen.mean == (0.485, 0.456, 0.406)

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(ConfigError, match="unknown backbone 'resnet5'"):
            frozen_model("resnet5")


class TestExtract:
    def test_gives_what_the_model_says_of_each_picture(self, frozen, small, listed):
        found = extract_features(frozen, small, listed, batch_size=4)
        images = torch.stack([small(load_image(one.path)) for one in listed])
        expected = frozen.features(frozen.trunk_maps(images))
        torch.testing.assert_close(found.vectors, expected, atol=1e-5, rtol=1e-4)
        assert found.pictures == tuple(listed)
        assert found.mirrored is None

    def test_mirrored_copies_are_of_the_mirror_images(self, frozen, small, listed):
        found = extract_features(frozen, small, listed, mirrored=True)
        images = torch.stack([small(load_image(one.path)) for one in listed]).flip(3)
        torch.testing.assert_close(
            found.mirrored, frozen.features(frozen.trunk_maps(images)), atol=1e-5, rtol=1e-4
        )

    def test_a_bad_picture_is_named_and_left_out(self, frozen, small, listed, caplog):
        listed[2].path.write_bytes(b"not a picture")
        found = extract_features(frozen, small, listed, mirrored=True)
        assert [one.name for one in found.pictures] == [one.name for one in listed if one is not listed[2]]
        assert len(found.vectors) == len(found.mirrored) == 5
        assert str(listed[2].path) in caplog.text

    def test_nothing_readable_is_an_error(self, frozen, small, listed):
        for one in listed:
            one.path.write_bytes(b"")
        with pytest.raises(DataError, match="none of 6 pictures could be read"):
            extract_features(frozen, small, listed)


class TestMemory:
    def test_the_batch_is_halved_and_the_work_goes_on(self, scarce, small, listed, caplog):
        frozen, asked = scarce
        with caplog.at_level(logging.WARNING):
            found = extract_features(frozen, small, listed, batch_size=6)
        assert asked == [6, 3, 3]
        assert "going on with 3 pictures a pass" in caplog.text
        asked.clear()
        again = extract_features(frozen, small, listed, batch_size=2)
        torch.testing.assert_close(found.vectors, again.vectors, atol=1e-5, rtol=1e-4)

    def test_what_was_too_much_once_is_not_tried_again(self, scarce, small, listed):
        frozen, asked = scarce
        extract_features(frozen, small, listed, batch_size=4)
        assert asked == [4, 2, 2, 2]

    def test_cuda_libraries_that_only_say_so_are_understood(self):
        tried = []

        def function(images):
            tried.append(len(images))
            if len(images) > 1:
                raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
            return images

        assert len(MemoryBatches(4).run(function, torch.zeros(4, 1))) == 4
        assert tried == [4, 2, 1, 1, 1, 1]

    def test_where_not_even_one_fits_the_error_stands(self):
        def function(images):
            raise torch.OutOfMemoryError("no room")

        with pytest.raises(torch.OutOfMemoryError):
            MemoryBatches(4).run(function, torch.zeros(4, 1))

    def test_a_pass_of_no_picture_is_refused(self):
        with pytest.raises(ConfigError, match="at least one picture, not 0"):
            MemoryBatches(0)

    def test_other_errors_are_no_lack_of_memory(self):
        def function(images):
            raise RuntimeError("shapes differ")

        with pytest.raises(RuntimeError, match="shapes differ"):
            MemoryBatches(4).run(function, torch.zeros(4, 1))


class TestCache:
    @pytest.fixture
    def passes(self, frozen):
        """How many pictures the network has looked at."""
        seen = []
        handle = frozen.trunk.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
        yield seen
        handle.remove()

    def test_a_second_call_needs_no_network(self, frozen, small, listed, tmp_path, passes):
        cache = tmp_path / "cache.npz"
        listed[1].path.write_bytes(b"bad")
        first = cached_features(cache, frozen, small, listed, mirrored=True)
        passes.clear()
        again = cached_features(cache, frozen, small, listed, mirrored=True)
        assert passes == []
        assert torch.equal(first.vectors, again.vectors)
        assert torch.equal(first.mirrored, again.mirrored)
        assert (first.pictures, first.skipped) == (again.pictures, again.skipped)
        assert cached_features(cache, frozen, small, listed).mirrored is None
        assert passes == []

    @pytest.mark.parametrize("change", ["picture", "preprocess", "mirrored", "weights", "damage"])
    def test_what_decides_the_features_is_noticed(self, frozen, small, listed, tmp_path, passes, change):
        cache = tmp_path / "cache.npz"
        cached_features(cache, frozen, small, listed)
        passes.clear()
        weight = next(iter(frozen.trunk.parameters()))
        kept = weight.clone()
        if change == "picture":
            shutil.copy(listed[0].path, listed[1].path)
        elif change == "weights":
            weight.add_(0.1)
        elif change == "damage":
            cache.write_bytes(cache.read_bytes()[:300])
        seen = Preprocess(size=56, resize=56) if change == "preprocess" else small
        found = cached_features(cache, frozen, seen, listed, mirrored=change == "mirrored")
        assert passes
        expected = extract_features(frozen, seen, listed)
        assert torch.equal(found.vectors, expected.vectors)
        weight.copy_(kept)

    def test_the_file_needs_no_unpickling(self, frozen, small, listed, tmp_path):
        cache = tmp_path / "deep" / "cache.npz"
        cached_features(cache, frozen, small, listed)
        with np.load(cache, allow_pickle=False) as file:
            assert set(file.files) == {"key", "vectors", "rows", "skipped"}
        assert [path.name for path in cache.parent.iterdir()] == ["cache.npz"]
