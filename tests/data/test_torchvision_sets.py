"""Torchvision's sets, from small folders of the shape that its download leaves."""

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import FGVCAircraft, Flowers102, Food101, OxfordIIITPet

from avsl_core.data import read_torchvision
from avsl_core.errors import ConfigError, DataError

NAMES = ["flowers102", "oxford_pets", "aircraft", "food101"]


@pytest.fixture
def flowers102(tmp_path, put):
    base = tmp_path / "flowers-102"
    labels = [3, 1, 3, 102]
    for i in range(1, 5):
        put(base / "jpg" / f"image_{i:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    savemat(base / "setid.mat", {"trnid": [[1]], "valid": [[2]], "tstid": [[3, 4]]})
    return base


@pytest.fixture
def oxford_pets(tmp_path, put):
    base = tmp_path / "oxford-iiit-pet"
    for part, pictures in (
        ("trainval", ["american_bulldog_10", "Abyssinian_1"]),
        ("test", ["american_bulldog_2"]),
    ):
        for picture in pictures:
            put(base / "images" / f"{picture}.jpg")
        put(base / "annotations" / f"{part}.txt", "".join(f"{picture} 1 1 1\n" for picture in pictures))
    return base


@pytest.fixture
def aircraft(tmp_path, put):
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for part, lines in (
        ("trainval", ["0034309 F/A-18", "0000002 Boeing 737-200"]),
        ("test", ["1025794 F/A-18"]),
    ):
        for line in lines:
            put(data / "images" / f"{line.split()[0]}.jpg")
        put(data / f"images_variant_{part}.txt", "\n".join(lines) + "\n")
    put(data / "variants.txt", "Boeing 737-200\nF/A-18\n")
    return data.parent


@pytest.fixture
def food101(tmp_path, put):
    base = tmp_path / "food-101"
    for part, number in (("train", 1), ("test", 2)):
        content = {name: [f"{name}/{number}"] for name in ("apple_pie", "waffles")}
        for (picture,) in content.values():
            put(base / "images" / f"{picture}.jpg")
        put(base / "meta" / f"{part}.json", json.dumps(content))
    return base


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on this machine that hands out the files in tmp_path."""
    monkeypatch.setenv("no_proxy", "*")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_flowers_are_called_by_their_names(flowers102, tmp_path):
    pictures = read_torchvision("flowers102", tmp_path, check_counts=False)
    assert pictures.class_names == ("pink primrose", "canterbury bells", "blackberry lily")
    assert pictures.labels == (1, 0, 1, 2)
    assert pictures.paths[0] == flowers102 / "jpg" / "image_00001.jpg"


def test_pets_are_called_after_their_breed(oxford_pets, tmp_path):
    pictures = read_torchvision("oxford_pets", tmp_path, check_counts=False)
    assert pictures.class_names == ("Abyssinian", "American Bulldog")
    assert pictures.labels == (1, 0, 1)


def test_aircraft_are_called_after_their_variant(aircraft, tmp_path):
    pictures = read_torchvision("aircraft", tmp_path, check_counts=False)
    assert pictures.class_names == ("Boeing 737-200", "F/A-18")
    assert pictures.labels == (1, 0, 1)


def test_food_is_called_after_its_folder(food101, tmp_path):
    pictures = read_torchvision("food101", tmp_path, check_counts=False)
    assert pictures.class_names == ("apple_pie", "waffles")
    assert sorted(path.relative_to(food101 / "images").as_posix() for path in pictures.paths) == [
        "apple_pie/1.jpg",
        "apple_pie/2.jpg",
        "waffles/1.jpg",
        "waffles/2.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("oxford_pets", [(OxfordIIITPet, "trainval", "_images"), (OxfordIIITPet, "test", "_images")]),
        ("aircraft", [(FGVCAircraft, "trainval", "_image_files"), (FGVCAircraft, "test", "_image_files")]),
        ("food101", [(Food101, "train", "_image_files"), (Food101, "test", "_image_files")]),
    ],
)
def test_all_of_torchvisions_parts_are_there_under_the_same_names(name, parts, request, tmp_path):
    request.getfixturevalue(name)
    pictures = read_torchvision(name, tmp_path, check_counts=False)
    ours = {
        str(path): pictures.class_names[label]
        for path, label in zip(pictures.paths, pictures.labels, strict=True)
    }
    theirs = {}
    for kind, split, listing in parts:
        data = kind(tmp_path, split=split)
        # With so few pictures a part may lack a breed; their numbers then say nothing about its name.
        labels = [data.classes[label] if name != "oxford_pets" else None for label in data._labels]
        theirs.update({str(path): label for path, label in zip(getattr(data, listing), labels, strict=True)})
    assert ours.keys() == theirs.keys()
    assert name == "oxford_pets" or ours == theirs


@pytest.mark.parametrize("name", NAMES)
def test_too_few_pictures_are_told_from_the_published_numbers(name, request, tmp_path):
    request.getfixturevalue(name)
    with pytest.raises(DataError, match=r"\d pictures of \d classes, but [\d,]+ of \d+ were published"):
        read_torchvision(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_missing_pictures_are_named(name, request, tmp_path):
    base = request.getfixturevalue(name)
    gone = next(base.rglob("*.jpg"))
    gone.unlink()
    with pytest.raises(DataError, match=rf"1 of \d pictures are missing: .*{gone.name}"):
        read_torchvision(name, tmp_path, check_counts=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_that_is_not_there_asks_for_its_download(name, tmp_path):
    with pytest.raises(DataError, match=f"put {name} there or ask for its download"):
        read_torchvision(name, tmp_path)


def test_an_unknown_set_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"no torchvision set 'mnist'; known are flowers102, .*food101"):
        read_torchvision("mnist", tmp_path)


def test_flowers_have_as_many_names_as_were_published():
    assert len(set(Flowers102.classes)) == 102


def test_a_flower_without_name_is_refused(flowers102, tmp_path):
    savemat(flowers102 / "imagelabels.mat", {"labels": [[1, 2, 3, 103]]})
    with pytest.raises(DataError, match=r"imagelabels\.mat: label 103 is not in 1 to 102"):
        read_torchvision("flowers102", tmp_path, check_counts=False)


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": 3}'])
def test_malformed_food_lists_are_named(food101, tmp_path, put, content):
    put(food101 / "meta" / "test.json", content)
    with pytest.raises(DataError, match=r"test\.json: is not an object of class names and pictures"):
        read_torchvision("food101", tmp_path, check_counts=False)


def test_download_fetches_unpacks_and_reads(aircraft, tmp_path, server, monkeypatch):
    archive = Path(shutil.make_archive(str(tmp_path / "aircraft"), "gztar", tmp_path, aircraft.name))
    shutil.rmtree(aircraft)
    monkeypatch.setattr(FGVCAircraft, "_URL", f"{server}/{archive.name}")
    pictures = read_torchvision("aircraft", tmp_path / "new", download=True, check_counts=False)
    assert len(pictures) == 3
    assert all(path.is_relative_to(tmp_path / "new") for path in pictures.paths)


def test_a_failed_download_says_why(tmp_path, server, monkeypatch):
    monkeypatch.setattr(FGVCAircraft, "_URL", f"{server}/nowhere.tar.gz")
    with pytest.raises(DataError, match=r"FGVCAircraft could not be downloaded \(.*404.*\); check"):
        read_torchvision("aircraft", tmp_path / "new", download=True)
