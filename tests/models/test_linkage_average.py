"""The moving average of the linkage, its flag and W: in training, saved and loaded."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from avsl_core import functional as AF


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(12, 12, generator=generator) - 0.3 for _ in range(2)]


def equal(left, right):
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture
def model(new_avsl):
    return new_avsl(trained=False, momentum=0.25)


class TestUpdates:
    def test_a_new_model_has_no_linkage(self, model):
        assert not model.linkage_initialized
        assert all((W == 0).all() for W in model.normalized_linkages)

    def test_the_first_batch_is_copied(self, model):
        model.update_linkage(batch(0))
        assert model.linkage_initialized
        assert equal(model.linkages, batch(0))

    def test_later_batches_are_mixed_in_with_m(self, model):
        for seed in range(3):
            model.update_linkage(batch(seed))
        for average, first, second, third in zip(model.linkages, batch(0), batch(1), batch(2), strict=True):
            assert_close(average, 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third)

    def test_follows_the_published_average(self, published, new_avsl):
        model = new_avsl(trained=False, momentum=float(published("ema_m")), top_k=int(published("top_k")))
        for step in range(2):
            model.update_linkage([published(f"batch{step}_link_{low}") for low in range(2)])
            for low in range(2):
                expected = published(f"after_batch{step}_link_ema_{low}")
                assert_close(model.linkages[low], expected, rtol=1e-5, atol=1e-5)

    def test_w_follows_the_average_and_leaves_it_alone(self, model):
        model.update_linkage(batch(0))
        assert equal(model.normalized_linkages, [AF.normalize_linkage(link, 4) for link in batch(0)])
        model.refresh_linkage()
        assert equal(model.linkages, batch(0))

    def test_the_batch_is_not_kept_by_reference(self, model):
        given = batch(0)
        model.update_linkage(given)
        given[0].zero_()
        assert equal(model.linkages, batch(0))

    def test_measuring_changes_no_buffer(self, avsl, pictures):
        before = copy.deepcopy(dict(avsl.named_buffers()))
        encoded = avsl.encode(pictures)
        avsl.distance_matrix(encoded, encoded)
        avsl.explain(encoded[0], encoded[1])
        avsl.node_vectors(encoded)
        assert all(torch.equal(before[name], buffer) for name, buffer in avsl.named_buffers())


class TestReload:
    def test_the_flag_and_the_average_are_saved_and_w_is_not(self, model):
        names = set(model.state_dict())
        assert {"linkage_0", "linkage_1", "linkage_initialized"} <= names
        assert not any(name.startswith("W_") for name in names)

    def test_w_is_refreshed(self, model, new_avsl):
        model.update_linkage(batch(0))
        other = new_avsl(seed=1, trained=False, momentum=0.25)
        other.load_state_dict(model.state_dict())
        assert equal(other.normalized_linkages, model.normalized_linkages)

    def test_w_is_refreshed_when_the_model_is_part_of_another_module(self, model, new_avsl):
        model.update_linkage(batch(0))
        outer, other = nn.ModuleDict({"model": model}), new_avsl(seed=1, trained=False)
        nn.ModuleDict({"model": other}).load_state_dict(outer.state_dict())
        assert equal(other.normalized_linkages, model.normalized_linkages)

    def test_training_goes_on_where_it_stopped_and_does_not_overwrite(self, model, new_avsl):
        model.update_linkage(batch(0))
        resumed = new_avsl(seed=1, trained=False, momentum=0.25)
        resumed.load_state_dict(model.state_dict())
        for either in (model, resumed):
            either.update_linkage(batch(1))
        assert equal(resumed.linkages, model.linkages)
        assert not torch.equal(resumed.linkages[0], batch(1)[0])

    def test_of_an_untrained_model_still_copies_its_first_batch(self, model, new_avsl):
        resumed = new_avsl(seed=1, trained=False, momentum=0.25)
        resumed.load_state_dict(model.state_dict())
        resumed.update_linkage(batch(3))
        assert equal(resumed.linkages, batch(3))

    def test_a_copy_of_the_model_keeps_its_own_average(self, model):
        model.update_linkage(batch(0))
        twin = copy.deepcopy(model)
        twin.update_linkage(batch(1))
        assert equal(model.linkages, batch(0))
        twin.load_state_dict(model.state_dict())
        assert equal(twin.normalized_linkages, model.normalized_linkages)
