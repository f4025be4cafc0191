import pytest
import torch

from avsl_core.models import AvslConfig, AvslModel, BackboneConfig


@pytest.fixture(scope="session")
def model() -> AvslModel:
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)  # the trunk's own initialisation draws from torch's generator
    config = AvslConfig(BackboneConfig("mobilenetv3_small_050", (1, 2, 4)), nodes=16, top_k=5)
    model = AvslModel(config, generator=generator).eval()
    model.update_linkage([torch.rand(16, 16, generator=generator) for _ in range(2)])
    return model


@pytest.fixture(scope="session")
def encodings(model):
    generator = torch.Generator().manual_seed(4)
    with torch.inference_mode():
        return [model.encode(torch.randn(1, 3, 64, 64, generator=generator)) for _ in range(2)]


@pytest.fixture(scope="session")
def explanation(model, encodings):
    return model.explain(*encodings)
