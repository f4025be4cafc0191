"""Pairs by file name: read_pairs and split_pairs."""

import logging

import pytest

from avsl_core.data import is_pair_set, read_pairs, split_pairs
from avsl_core.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    """folder(left, right) -> a folder with empty files of those names."""

    def make(left, right):
        for side, names in (("left", left), ("right", right)):
            (tmp_path / side).mkdir()
            for name in names:
                (tmp_path / side / name).touch()
        return tmp_path

    return make


class TestRead:
    def test_partners_have_one_name_whatever_the_ending_and_the_order(self, folder):
        pairs = read_pairs(folder(["b.jpg", "a.png", "10.webp"], ["10.jpg", "a.jpg", "b.JPG"]))
        assert pairs.names == ("10", "a", "b")
        assert [path.name for path in pairs.left] == ["10.webp", "a.png", "b.jpg"]
        assert [path.name for path in pairs.right] == ["10.jpg", "a.jpg", "b.JPG"]
        assert len(pairs) == 3

    def test_a_shifted_side_is_not_paired_by_place(self, folder):
        pairs = read_pairs(folder(["1.jpg", "2.jpg", "3.jpg"], ["2.jpg", "3.jpg", "4.jpg"]))
        assert pairs.names == ("2", "3")
        assert [path.stem for path in pairs.left] == [path.stem for path in pairs.right]

    def test_pictures_without_a_partner_are_named_and_counted(self, folder, caplog):
        root = folder(["a.jpg", "b.jpg"], ["b.jpg", "c.jpg", "notes.txt"])
        with caplog.at_level(logging.WARNING):
            pairs = read_pairs(root)
        assert pairs.alone == (root / "left" / "a.jpg", root / "right" / "c.jpg")
        assert [record.getMessage() for record in caplog.records] == [
            f"left out, no partner: {path}" for path in pairs.alone
        ]
        assert pairs.summary() == f"{root.name}: 1 pairs, 2 pictures without a partner left out"

    def test_two_pictures_of_one_name_are_refused_by_name(self, folder):
        with pytest.raises(DataError, match=r"left: a\.jpg and a\.png have one name.*rename one"):
            read_pairs(folder(["a.png", "a.jpg", "b.jpg"], ["a.jpg"]))

    def test_a_folder_in_which_nothing_pairs_up_is_refused(self, folder):
        with pytest.raises(DataError, match="no picture of left has its partner in right"):
            read_pairs(folder(["a.jpg"], ["b.jpg"]))

    @pytest.mark.parametrize("missing", ["left", "right"])
    def test_a_missing_side_is_named(self, folder, missing):
        root = folder(["a.jpg"], ["a.jpg"])
        (root / missing / "a.jpg").unlink()
        with pytest.raises(DataError, match="no pictures"):
            read_pairs(root)
        (root / missing).rmdir()
        assert not is_pair_set(root)
        with pytest.raises(DataError, match=f"no folder {missing} in it"):
            read_pairs(root)

    def test_a_missing_folder_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="no such folder"):
            read_pairs(tmp_path / "nowhere")

    def test_a_pair_set_is_told_by_its_folders(self, folder, tmp_path):
        assert is_pair_set(folder(["a.jpg"], ["a.jpg"]))
        assert not is_pair_set(tmp_path / "left")


class TestSplit:
    NAMES = tuple(f"{n:03d}" for n in range(40))

    def test_parts_share_nothing_and_hold_everything(self):
        train, test = split_pairs(self.NAMES, 0.75)
        assert (len(train), len(test)) == (30, 10)
        assert sorted(train + test) == list(range(40))

    def test_depends_on_names_and_seed_not_on_order(self):
        train, _ = split_pairs(self.NAMES, 0.75, 3)
        backwards = self.NAMES[::-1]
        again, _ = split_pairs(backwards, 0.75, 3)
        assert {self.NAMES[i] for i in train} == {backwards[i] for i in again}
        assert split_pairs(self.NAMES, 0.75, 4)[0] != train

    @pytest.mark.parametrize("fraction", [0.01, 0.99])
    def test_each_part_has_at_least_two(self, fraction):
        assert min(map(len, split_pairs(self.NAMES, fraction))) == 2

    @pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5])
    def test_a_share_of_nothing_or_all_is_refused(self, fraction):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            split_pairs(self.NAMES, fraction)

    def test_too_few_pairs_are_refused(self):
        with pytest.raises(DataError, match="3 pairs are too few"):
            split_pairs(self.NAMES[:3], 0.5)
