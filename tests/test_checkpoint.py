"""Checkpoints: everything comes back, damage is named, and nothing is ever unpickled."""

import dataclasses
import json
import os
import pickle
import sys

import pytest
import safetensors
import safetensors.torch
import torch

from avsl_core.checkpoint import (
    Checkpoint,
    describe_checkpoint,
    find_checkpoint,
    fingerprint,
    load_checkpoint,
    round_weights,
    save_checkpoint,
    shipped_checkpoints,
)
from avsl_core.errors import CheckpointError
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution

PREPROCESS = Preprocess(size=64, resize=72, interpolation="bilinear", mean=(0.4, 0.5, 0.6))
PAIRS = PairDistribution((0.1, 0.2, 0.3), (0.2, 0.8, 1.6), same_count=12, different_count=300)


@pytest.fixture(scope="module")
def checkpoint(avsl):
    return Checkpoint(
        model=avsl,
        preprocess=PREPROCESS,
        class_names=("wren", "Zaunkönig", "鷦鷯"),
        record={"recipe": "cpu", "epochs": 3, "seed": 7, "losses": [1.5, 0.25]},
        metrics={"validation": {"recall@1": 0.875}},
        pairs=PAIRS,
    )


@pytest.fixture(scope="module")
def file(checkpoint, tmp_path_factory):
    return save_checkpoint(checkpoint, tmp_path_factory.mktemp("saved") / "model.safetensors")


@pytest.fixture
def rewrite(file, tmp_path):
    """rewrite(change) -> path of a copy whose description went through change(description)."""

    def write(change, tensors=lambda tensors: tensors):
        with safetensors.safe_open(file, framework="pt") as opened:
            description = json.loads(opened.metadata()["avsl"])
            kept = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
        changed = change(description)
        text = changed if isinstance(changed, str) else json.dumps(changed)
        path = tmp_path / "rewritten.safetensors"
        safetensors.torch.save_file(tensors(kept), path, metadata={"avsl": text})
        return path

    return write


def folder_listing(path):
    return sorted(entry.name for entry in path.iterdir())


class TestRoundTrip:
    @pytest.mark.parametrize("kind", ["avsl", "embedding"])
    def test_outputs_are_equal_to_the_bit(self, kind, request, pictures, tmp_path):
        model = request.getfixturevalue(kind)
        loaded = load_checkpoint(
            save_checkpoint(Checkpoint(model, PREPROCESS), tmp_path / "m.safetensors")
        ).model
        ours, theirs = model.encode(pictures), loaded.encode(pictures)
        assert torch.equal(loaded.distance_matrix(theirs, theirs), model.distance_matrix(ours, ours))
        before, after = model.explain(ours[0], ours[1]), loaded.explain(theirs[0], theirs[1])
        for one, other in zip(before.components, after.components, strict=True):
            assert one.value == other.value
            assert torch.equal(one.map_a, other.map_a)
        assert loaded.config == model.config
        assert type(loaded) is type(model)

    def test_the_papers_come_back(self, checkpoint, file):
        loaded = load_checkpoint(file)
        for name in ("preprocess", "class_names", "record", "metrics", "pairs"):
            assert getattr(loaded, name) == getattr(checkpoint, name)
        assert loaded.path == file

    def test_what_was_left_out_stays_out(self, avsl, tmp_path):
        loaded = load_checkpoint(save_checkpoint(Checkpoint(avsl, PREPROCESS), tmp_path / "bare.safetensors"))
        assert (loaded.class_names, loaded.record, loaded.metrics, loaded.pairs) == ((), {}, {}, None)

    @pytest.mark.parametrize("trained", [True, False])
    def test_the_linkage_comes_back_with_its_flag(self, new_avsl, tmp_path, trained):
        model = new_avsl(trained=trained)
        loaded = load_checkpoint(
            save_checkpoint(Checkpoint(model, PREPROCESS), tmp_path / "m.safetensors")
        ).model
        assert bool(loaded.linkage_initialized) is trained
        assert all(torch.equal(a, b) for a, b in zip(loaded.linkages, model.linkages, strict=True))
        loaded.update_linkage([torch.ones(12, 12)] * 2)
        assert torch.equal(loaded.linkages[0], torch.ones(12, 12)) is not trained

    def test_the_model_is_ready_to_use(self, file):
        model = load_checkpoint(file).model
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())

    def test_loads_onto_a_device(self, file, device):
        assert load_checkpoint(file, device).model.device.type == device.type

    def test_saving_leaves_the_model_as_it_was(self, new_avsl, tmp_path):
        model = new_avsl().train().requires_grad_(True)
        save_checkpoint(Checkpoint(model, PREPROCESS), tmp_path / "m.safetensors")
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())

    def test_weights_in_channels_last_memory_are_saved(self, new_avsl, avsl, pictures, tmp_path):
        model = new_avsl().to(memory_format=torch.channels_last)
        loaded = load_checkpoint(
            save_checkpoint(Checkpoint(model, PREPROCESS), tmp_path / "m.safetensors")
        ).model
        assert torch.equal(loaded.encode(pictures).nodes[0], avsl.encode(pictures).nodes[0])

    def test_anyone_can_read_the_weights_and_the_description(self, file):
        with safetensors.safe_open(file, framework="np") as opened:
            description = json.loads(opened.metadata()["avsl"])
            assert "linkage_initialized" in opened.keys()  # noqa: SIM118 - not a dict
        assert (description["format"], description["method"]) == ("avsl-checkpoint", "avsl")
        assert description["model"]["backbone"]["levels"] == [2, 3, 4]


class TestFinding:
    def test_a_path_as_text_or_as_path(self, file):
        assert find_checkpoint(file) == find_checkpoint(str(file)) == file

    def test_shipped_names_are_files_of_that_stem(self):
        for name, path in shipped_checkpoints().items():
            assert path.stem == name
            assert find_checkpoint(name) == path

    @pytest.mark.parametrize("name", ["", "no-such-model", "nowhere/model.safetensors"])
    def test_neither_file_nor_name(self, name):
        with pytest.raises(
            CheckpointError, match="no such checkpoint; give a file, or the name of a shipped one"
        ):
            load_checkpoint(name)

    def test_a_folder(self, tmp_path):
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            load_checkpoint(tmp_path)


class TestDamage:
    @pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.999])
    def test_cut_short(self, file, tmp_path, share):
        content, cut = file.read_bytes(), tmp_path / "cut.safetensors"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors: not a readable safetensors file"):
            load_checkpoint(cut)

    @pytest.mark.parametrize("content", [b"\x00" * 64, b"\xff" * 64, b"GIF89a" * 20, b"{}"])
    def test_something_else(self, tmp_path, content):
        other = tmp_path / "other.safetensors"
        other.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"other\.safetensors"):
            load_checkpoint(other)

    @pytest.mark.parametrize("writer", [pickle.dump, torch.save], ids=["pickle", "torch.save"])
    def test_a_pickle_in_disguise_is_not_unpickled(self, tmp_path, writer):
        trace, path = tmp_path / "it-ran", tmp_path / "evil.safetensors"
        with path.open("wb") as stream:
            writer(MakesFolder(str(trace)), stream)
        with pytest.raises(CheckpointError, match=r"evil\.safetensors: not a readable safetensors file"):
            load_checkpoint(path)
        assert not trace.exists()
        if writer is pickle.dump:  # the trap is a real one
            pickle.loads(path.read_bytes())
            assert trace.exists()

    def test_weights_of_someone_else(self, tmp_path):
        path = tmp_path / "foreign.safetensors"
        safetensors.torch.save_file({"weight": torch.zeros(2)}, path, metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match=r"foreign\.safetensors: .*not one of ours.*weights=PATH"):
            load_checkpoint(path)

    def test_weights_without_any_metadata(self, tmp_path):
        path = tmp_path / "bare.safetensors"
        safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
        with pytest.raises(CheckpointError, match="not one of ours"):
            load_checkpoint(path)

    def test_a_newer_version_asks_for_an_update(self, rewrite):
        with pytest.raises(CheckpointError, match=r"version 2 of the format.*update the library"):
            load_checkpoint(rewrite(lambda d: d | {"version": 2}))

    @pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 200_000])
    def test_a_description_that_is_no_json(self, rewrite, text):
        with pytest.raises(CheckpointError, match="its description is damaged"):
            load_checkpoint(rewrite(lambda d: text))

    @pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"format": "other"}'])
    def test_a_description_of_something_else(self, rewrite, text):
        with pytest.raises(CheckpointError, match="not a checkpoint of this library"):
            load_checkpoint(rewrite(lambda d: text))

    @pytest.mark.parametrize(
        "key", ["model", "preprocess", "method", "class_names", "record", "metrics", "pairs"]
    )
    def test_a_description_with_a_hole(self, rewrite, key):
        def drop(description):
            del description[key]
            return description

        with pytest.raises(CheckpointError, match=r"rewritten.*description does not hold together"):
            load_checkpoint(rewrite(drop))

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("method", "siamese", "unknown method 'siamese'"),
            ("method", ["avsl"], "does not hold together"),
            ("model", [], "must be a group of options"),
            ("model", {"depth": 3}, "unknown key 'depth'"),
            ("model", {"nodes": "many"}, "nodes must be int"),
            ("model", {"backbone": {"name": "no_such_net"}}, "unknown backbone"),
            ("preprocess", {"size": 0}, "size"),
            ("preprocess", {"sise": 64}, "sise"),
            ("preprocess", [1], "does not hold together"),
            ("class_names", None, "class_names"),
            ("class_names", "wren", "class_names"),
            ("class_names", [1, 2], "class_names"),
            ("record", [1], "record"),
            ("metrics", "good", "metrics"),
            ("pairs", {"same": [1]}, "pair distribution"),
            ("pairs", 3, "does not hold together"),
        ],
    )
    def test_a_tampered_description(self, rewrite, key, value, message):
        with pytest.raises(CheckpointError, match=message) as caught:
            load_checkpoint(rewrite(lambda d: d | {key: value}))
        assert "\n" not in str(caught.value)

    def test_an_unknown_key_of_the_model_is_named(self, rewrite):
        def tamper(description):
            description["model"]["temperature"] = 3
            return description

        with pytest.raises(CheckpointError, match="unknown key 'temperature' in avsl configuration"):
            load_checkpoint(rewrite(tamper))

    def test_a_description_of_a_model_of_another_size(self, rewrite):
        def tamper(description):
            description["model"]["nodes"] = 13
            return description

        with pytest.raises(CheckpointError, match="weights do not fit its description: size mismatch"):
            load_checkpoint(rewrite(tamper))

    def test_weights_with_one_left_out(self, rewrite):
        def drop(tensors):
            del tensors["projections.1"]
            return tensors

        with pytest.raises(CheckpointError, match=r"do not fit its description.*projections\.1"):
            load_checkpoint(rewrite(lambda d: d, drop))

    def test_weights_with_one_too_many(self, rewrite):
        with pytest.raises(CheckpointError, match=r"do not fit its description.*stranger"):
            load_checkpoint(rewrite(lambda d: d, lambda tensors: tensors | {"stranger": torch.zeros(1)}))

    def test_any_single_byte_of_the_header_gone_wrong_is_our_error_or_harmless(self, file, tmp_path):
        content, path = file.read_bytes(), tmp_path / "flipped.safetensors"
        generator = torch.Generator().manual_seed(0)
        for position in torch.randint(0, 2000, (60,), generator=generator).tolist():
            flipped = bytearray(content)
            flipped[position] ^= 0x15
            path.write_bytes(flipped)
            try:
                load_checkpoint(path)
            except CheckpointError as error:
                assert "flipped.safetensors" in str(error)


def test_what_needs_a_package_that_is_not_there_names_it(rewrite, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)  # as if it were not installed
    model = {"backbone": {"name": "clip:RN50", "levels": [1, 2]}}
    path = rewrite(lambda description: description | {"method": "adaptation", "model": model})
    with pytest.raises(CheckpointError, match="pip install open_clip_torch") as caught:
        load_checkpoint(path)
    assert "get it again" not in str(caught.value)


class TestWriting:
    def test_makes_missing_folders(self, checkpoint, tmp_path):
        assert save_checkpoint(checkpoint, tmp_path / "a" / "b" / "m.safetensors").is_file()

    def test_replaces_an_older_file_and_leaves_nothing_beside_it(self, checkpoint, tmp_path):
        path = tmp_path / "m.safetensors"
        save_checkpoint(checkpoint, path)
        save_checkpoint(dataclasses.replace(checkpoint, class_names=("new",)), str(path))
        assert load_checkpoint(path).class_names == ("new",)
        assert folder_listing(tmp_path) == ["m.safetensors"]

    def test_a_save_that_fails_leaves_the_old_file_whole(self, checkpoint, tmp_path, monkeypatch):
        path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
        before = path.read_bytes()

        def disk_full(tensors, filename, metadata):
            filename.write_bytes(b"half a file")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(safetensors.torch, "save_file", disk_full)
        with pytest.raises(CheckpointError, match=r"could not be written .*No space left"):
            save_checkpoint(dataclasses.replace(checkpoint, class_names=("new",)), path)
        assert path.read_bytes() == before
        assert folder_listing(tmp_path) == ["m.safetensors"]

    def test_into_a_folder_that_is_not_writable(self, checkpoint):
        # /proc refuses new files even to the super-user, whom folder permissions do not stop.
        with pytest.raises(CheckpointError, match=r"could not be written.*is the folder writable"):
            save_checkpoint(checkpoint, "/proc/self/nowhere/m.safetensors")

    def test_below_a_file(self, checkpoint, tmp_path):
        (tmp_path / "file").write_text("no folder")
        with pytest.raises(CheckpointError, match="could not be written"):
            save_checkpoint(checkpoint, tmp_path / "file" / "m.safetensors")

    def test_over_a_folder(self, checkpoint, tmp_path):
        (tmp_path / "m.safetensors").mkdir()
        with pytest.raises(CheckpointError, match="could not be written"):
            save_checkpoint(checkpoint, tmp_path / "m.safetensors")
        assert folder_listing(tmp_path) == ["m.safetensors"]


class MakesFolder:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class TestPapers:
    def test_papers_are_read_without_the_weights(self, file, checkpoint):
        papers = describe_checkpoint(file)
        assert (papers.path, papers.method, papers.class_names) == (file, "avsl", checkpoint.class_names)
        assert papers.metrics == {"validation": {"recall@1": 0.875}}

    def test_shipped_ones_are_found_by_name(self):
        for name, path in shipped_checkpoints().items():
            assert describe_checkpoint(name).path == path

    @pytest.mark.parametrize("method", [None, 3, ["avsl"]])
    def test_papers_that_name_no_method_are_refused(self, rewrite, method):
        path = rewrite(lambda description: description | {"method": method})
        with pytest.raises(CheckpointError, match="names no method"):
            describe_checkpoint(path)

    def test_a_file_that_was_cut_short_is_refused(self, file, tmp_path):
        (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-5])
        with pytest.raises(CheckpointError, match="cut short"):
            describe_checkpoint(tmp_path / "cut.safetensors")


def test_a_compact_file_is_smaller_and_loses_nothing_of_rounded_weights(tmp_path, new_embedding):
    model = new_embedding(levels=(4,))
    round_weights(model)
    checkpoint = Checkpoint(model, Preprocess(size=64, resize=64))
    plain = save_checkpoint(checkpoint, tmp_path / "plain.safetensors")
    compact = save_checkpoint(checkpoint, tmp_path / "compact.safetensors", compact=True)
    assert compact.stat().st_size < 0.6 * plain.stat().st_size
    assert fingerprint(load_checkpoint(compact)) == fingerprint(load_checkpoint(plain))


def test_a_compact_file_keeps_all_digits_of_weights_that_were_not_rounded(tmp_path, new_embedding):
    checkpoint = Checkpoint(new_embedding(levels=(4,)), Preprocess(size=64, resize=64))
    compact = save_checkpoint(checkpoint, tmp_path / "compact.safetensors", compact=True)
    assert fingerprint(load_checkpoint(compact)) == fingerprint(checkpoint)
