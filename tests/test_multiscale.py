"""Several scales: averages of unit vectors, and which methods have them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError
from avsl_core.evaluation import evaluate_encoding, evaluate_rows
from avsl_core.images import Preprocess
from avsl_core.multiscale import multiscale_rows, parse_scales, scaled

SEEN = Preprocess(size=64, resize=80)
LABELS = [0, 0, 1, 1, 2, 2]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    root = tmp_path_factory.mktemp("scales")
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (100, 120, 3), dtype=np.uint8)).save(root / f"{number}.png")
    return sorted(root.iterdir())


@pytest.fixture(params=["embedding", "cgd", "raml", "adaptation"])
def model(request):
    return request.getfixturevalue(request.param)


def single(model, paths, scale, role):
    sized = model.at_scale(scale)
    encoding = encode_pictures(sized, scaled(SEEN, scale), paths, role=role)
    return sized.rows(encoding, role)


def test_one_scale_is_the_model_itself(model, paths):
    for role, rows in zip(("query", "gallery"), multiscale_rows(model, SEEN, paths, (1.0,)), strict=True):
        torch.testing.assert_close(rows.vectors, single(model, paths, 1.0, role).vectors)


@pytest.mark.parametrize("role", ["query", "gallery"])
def test_each_part_is_the_normalised_mean_of_its_vectors(model, paths, role):
    scales = (0.75, 1.0, 1.5)
    (rows,) = multiscale_rows(model, SEEN, paths, scales, roles=(role,))
    each = [single(model, paths, scale, role).vectors for scale in scales]
    widths = list(model.measure().widths)
    for got, *parts in zip(
        rows.vectors.split(widths, dim=1), *(e.split(widths, dim=1) for e in each), strict=True
    ):
        torch.testing.assert_close(
            F.normalize(got, dim=1), F.normalize(sum(parts), dim=1), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(got.norm(dim=1), parts[0].norm(dim=1), atol=1e-5, rtol=1e-5)


def test_raml_shows_its_student_other_sizes_too(raml, paths):
    (small,), (usual,) = (multiscale_rows(raml, SEEN, paths, (s,), roles=("query",)) for s in (0.5, 1.0))
    assert not torch.allclose(small.vectors, usual.vectors, atol=1e-3)


def test_rows_are_judged_as_encodings_are(raml, paths):
    asked, found = multiscale_rows(raml, SEEN, paths, (1.0,))
    measure = raml.measure()
    rows = evaluate_rows(measure, asked, LABELS, found, LABELS, same_set=True, with_nmi=True)
    whole = evaluate_encoding(
        raml, encode_pictures(raml, SEEN, paths), LABELS, with_nmi=True, with_pairs=False
    )
    assert rows.to_dict() == pytest.approx(whole.metrics.to_dict())


def test_methods_with_gates_are_refused(avsl, paths):
    with pytest.raises(ConfigError, match="one plain vector, which avsl has not"):
        multiscale_rows(avsl, SEEN, paths, (1.0,))


def test_the_same_region_is_seen_at_every_scale():
    for scale in (0.5, 2.0):
        assert scaled(SEEN, scale).box(200, 300) == SEEN.box(200, 300)


@pytest.mark.parametrize("text", ["", "a,b", "0,1", "-1", "nan", "inf"])
def test_scales_that_are_no_positive_numbers_are_refused(text):
    with pytest.raises(ConfigError, match="scales"):
        parse_scales(text)
