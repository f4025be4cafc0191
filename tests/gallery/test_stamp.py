"""What makes two checkpoints the same for a gallery."""

from dataclasses import replace
from pathlib import Path

import torch

from avsl_core.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from avsl_core.images import Preprocess


def test_the_file_and_its_papers_do_not_matter(checkpoint, tmp_path):
    other = replace(checkpoint, record={"seed": 3}, metrics={"test": {"recall@1": 0.5}}, class_names=("a",))
    file = save_checkpoint(other, tmp_path / "other.safetensors")
    assert fingerprint(load_checkpoint(file)) == fingerprint(checkpoint)
    assert fingerprint(replace(checkpoint, path=Path("x"))) == fingerprint(checkpoint)


def test_every_weight_matters(checkpoint, new_avsl):
    known = {fingerprint(checkpoint)}
    model = new_avsl()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.numel():
            last = tensor.view(-1)[-1:]
            kept = last.clone()
            last.add_(1.0)
            known.add(fingerprint(replace(checkpoint, model=model)))
            last.copy_(kept)
        assert name
    changed = sum(t.is_floating_point() and t.numel() > 0 for t in model.state_dict().values())
    assert len(known) == changed + 1
    assert fingerprint(replace(checkpoint, model=model)) == fingerprint(checkpoint)


def test_method_options_and_preprocessing_matter(checkpoint, plain_checkpoint, new_avsl):
    others = [
        plain_checkpoint,
        replace(checkpoint, model=new_avsl(gamma=9.0)),
        replace(checkpoint, preprocess=Preprocess(size=64, resize=72)),
    ]
    assert len({fingerprint(other) for other in [checkpoint, *others]}) == 4


def test_memory_layout_does_not_matter(checkpoint, new_avsl):
    model = new_avsl().to(memory_format=torch.channels_last)
    assert fingerprint(replace(checkpoint, model=model)) == fingerprint(checkpoint)
