"""``evaluate`` with the options of some methods: whose sides, which scales."""

import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.data import read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_encoding
from avsl_core.images import Preprocess

SEEN = Preprocess(size=64, resize=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(2)
    for label in range(4):
        (root / str(label)).mkdir()
        for number in range(4):
            picture = np.clip(rng.normal(60 * label, 70, (70, 80, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / str(label) / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, raml):
    return save_checkpoint(Checkpoint(raml, SEEN), tmp_path_factory.mktemp("model") / "raml.safetensors")


def judged(model, folder):
    pictures = read_folder(folder)
    encoding = encode_pictures(model, SEEN, pictures.paths)
    return evaluate_encoding(model, encoding, pictures.labels, with_pairs=False).metrics.to_dict()


@pytest.mark.parametrize("sides", [None, "asymmetric", "student", "teacher"])
def test_sides_say_who_looks(checkpoint, folder, raml, capsys, sides):
    extra = [] if sides is None else ["--sides", sides]
    assert main(["evaluate", str(checkpoint), str(folder), "--json", "--device", "cpu", *extra]) == 0
    values = json.loads(capsys.readouterr().out)
    expected = judged(raml.with_sides(sides or "asymmetric"), folder)
    for key in ("recall@1", "map@r", "r_precision"):
        assert values[key] == pytest.approx(expected[key])


def test_one_scale_changes_nothing_and_several_can_be_clustered(checkpoint, folder, capsys):
    command = ["evaluate", str(checkpoint), str(folder), "--json", "--device", "cpu"]
    found = []
    for extra in ([], ["--scales", "1"], ["--scales", "0.7,1,1.4", "--nmi"]):
        assert main([*command, *extra]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["map@r"] == pytest.approx(found[1]["map@r"])
    assert 0 <= found[2]["nmi"] <= 1


def test_what_does_not_go_together_is_one_line(checkpoint, folder, tmp_path, new_avsl, capsys):
    other = save_checkpoint(Checkpoint(new_avsl(), SEEN), tmp_path / "avsl.safetensors")
    for path, extra, message in (
        (other, ["--sides", "student"], "only RAML has two sides, this is avsl"),
        (other, ["--scales", "1,2"], "one plain vector, which avsl has not"),
        (checkpoint, ["--scales", "small"], "write numbers"),
        (checkpoint, ["--scales", "1", "--full-ranking"], "does not go with --scales"),
        (checkpoint, ["--part", "train"], "plain folder, which has no parts"),
    ):
        assert main(["evaluate", str(path), str(folder), "--device", "cpu", *extra]) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert message in errors[0]


def test_queries_with_a_gallery_of_their_own_are_not_clustered(checkpoint, folder, tmp_path, capsys):
    split = tmp_path / "split.json"
    parts = {part: {"a": [f"0/{n}.png"], "b": [f"1/{n}.png"]} for n, part in enumerate(("query", "gallery"))}
    split.write_text(json.dumps({"root": str(folder)} | parts))
    command = ["evaluate", str(checkpoint), str(split), "--json", "--device", "cpu"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 2
    for extra in ([], ["--scales", "1"]):
        assert main([*command, "--nmi", *extra]) == 2
        assert "leave --nmi out" in capsys.readouterr().err
