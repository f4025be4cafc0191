"""CUB, Cars196, Stanford Online Products and In-shop, from small archives of the published shape."""

import shutil
import zipfile

import numpy as np
import pytest
from scipy.io import savemat

from avsl_core.data import read_cars196, read_cub200, read_inshop, read_sop
from avsl_core.errors import DataError

READERS = [read_cub200, read_cars196, read_sop, read_inshop]


def pack(folder, archive):
    """Archive a folder under its own name, and remove it."""
    kind = {"zip": "zip", "tgz": "gztar", "gz": "gztar"}[archive.name.split(".")[-1]]
    made = shutil.make_archive(str(folder.parent / "packing"), kind, folder.parent, folder.name)
    shutil.rmtree(folder)
    shutil.move(made, archive)
    return archive


@pytest.fixture
def cub(tmp_path, put):
    """Four classes of two pictures; the second one's class number comes before the first's by text."""
    base = tmp_path / "CUB_200_2011"
    names = {1: "001.Black footed", 2: "002.Ärmel", 3: "003.c", 10: "010.d"}
    pictures = [(number, f"{name}/{name[4:]}_{i}.jpg") for number, name in names.items() for i in range(2)]
    for _, picture in pictures:
        put(base / "images" / picture)
    put(base / "classes.txt", "".join(f"{number} {name}\n" for number, name in names.items()))
    put(base / "images.txt", "".join(f"{i} {picture}\n" for i, (_, picture) in enumerate(pictures, 1)))
    put(
        base / "image_class_labels.txt",
        "".join(f"{i} {number}\n" for i, (number, _) in enumerate(pictures, 1)),
    )
    put(base / "bounding_boxes.txt", "".join(f"{i} {i}.0 2.5 10.0 20.0\n" for i in range(1, 9)))
    return base


class TestCub:
    def test_the_first_half_of_the_classes_trains(self, cub):
        split = read_cub200(cub, check_counts=False)
        assert split.train.class_names == ("001.Black footed", "002.Ärmel")
        assert split.test.class_names == ("003.c", "010.d")
        assert (len(split.train), len(split.test)) == (4, 4)

    def test_pictures_lie_in_the_images_folder(self, cub):
        split = read_cub200(cub, check_counts=False)
        assert split.train.paths[0] == cub / "images" / "001.Black footed" / "Black footed_0.jpg"

    def test_boxes_become_left_top_right_bottom(self, cub):
        assert read_cub200(cub, check_counts=False).test.boxes[0] == (5, 2, 15, 23)

    def test_without_box_file_there_are_no_boxes(self, cub):
        (cub / "bounding_boxes.txt").unlink()
        assert read_cub200(cub, check_counts=False).train.boxes is None

    def test_the_archive_reads_like_the_folder(self, cub, tmp_path):
        from_folder = read_cub200(cub, check_counts=False)
        archive = pack(cub, tmp_path / "CUB_200_2011.tgz")
        for root in (archive, tmp_path):
            from_archive = read_cub200(root, check_counts=False)
            assert from_archive.train.labels == from_folder.train.labels
            assert all(path.is_file() for path in from_archive.test.paths)

    def test_a_picture_without_label_is_named(self, cub, put):
        put(cub / "image_class_labels.txt", "1 1\n")
        with pytest.raises(DataError, match="picture 2 has no class"):
            read_cub200(cub, check_counts=False)

    def test_a_picture_without_box_is_named(self, cub, put):
        put(cub / "bounding_boxes.txt", "1 1 1 1 1\n")
        with pytest.raises(DataError, match="no box for picture 2"):
            read_cub200(cub, check_counts=False)

    @pytest.mark.parametrize(
        ("file", "content", "message"),
        [
            ("images.txt", "1\n", "'1' does not have 2 columns"),
            ("classes.txt", "one 001.a\n", "should be a whole number|has no class"),
            ("bounding_boxes.txt", "1 a b c d\n", "is not four numbers"),
            ("images.txt", b"\xff\xfe1", "is not text in UTF-8"),
        ],
    )
    def test_a_malformed_file_is_named(self, cub, put, file, content, message):
        put(cub / file, content)
        with pytest.raises(DataError, match=message):
            read_cub200(cub, check_counts=False)


BOX_FIELDS = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]


def write_annotations(path, rows, name_field, extra=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = [(field, object) for field in [*BOX_FIELDS, "class", name_field]]
    table = np.array([tuple(row) for row in rows], dtype=kinds)
    savemat(path, {"annotations": table.reshape(1, -1), **(extra or {})})


def class_names(count):
    return {
        "class_names": np.array([f"Car {i} Coupé" for i in range(1, count + 1)], dtype=object).reshape(1, -1)
    }


@pytest.fixture
def older_cars(tmp_path, put):
    base = tmp_path / "cars"
    rows = [(1, 3, 7, 6, number, f"car_ims/{i:06d}.jpg") for i, number in enumerate([1, 2, 3, 4, 4], 1)]
    for row in rows:
        put(base / row[-1])
    write_annotations(base / "cars_annos.mat", rows, "relative_im_path", class_names(4))
    return base


@pytest.fixture
def newer_cars(tmp_path, put):
    base = tmp_path / "stanford_cars"
    train = [(1, 1, 8, 6, number, f"{i:05d}.jpg") for i, number in enumerate([4, 1, 2], 1)]
    test = [(2, 3, 7, 6, number, f"{i:05d}.jpg") for i, number in enumerate([3, 1], 1)]
    for part, rows in (("cars_train", train), ("cars_test", test)):
        for row in rows:
            put(base / part / row[-1])
    write_annotations(base / "devkit" / "cars_train_annos.mat", train, "fname")
    write_annotations(base / "cars_test_annos_withlabels.mat", test, "fname")
    savemat(base / "devkit" / "cars_meta.mat", class_names(4))
    return base


class TestCars:
    def test_the_first_half_of_the_classes_trains(self, older_cars):
        split = read_cars196(older_cars, check_counts=False)
        assert split.train.class_names == ("Car 1 Coupé", "Car 2 Coupé")
        assert [path.name for path in split.test.paths] == ["000003.jpg", "000004.jpg", "000005.jpg"]
        assert split.test.labels == (0, 1, 1)

    def test_boxes_count_pixels_from_zero_and_end_after_the_last(self, older_cars):
        assert read_cars196(older_cars, check_counts=False).train.boxes[0] == (0, 2, 7, 6)

    def test_the_archive_of_pictures_beside_the_annotations_is_read(self, older_cars):
        archive = pack(older_cars / "car_ims", older_cars / "car_ims.tgz")
        for root in (older_cars, archive):
            split = read_cars196(root, check_counts=False)
            assert all(path.is_file() for path in split.train.paths)

    def test_the_newer_layout_joins_the_divisions_by_pictures(self, newer_cars):
        split = read_cars196(newer_cars, check_counts=False)
        assert [f"{path.parent.name}/{path.name}" for path in split.train.paths] == [
            "cars_train/00002.jpg",
            "cars_train/00003.jpg",
            "cars_test/00002.jpg",
        ]
        assert split.train.labels == (0, 1, 0)
        assert split.test.class_names == ("Car 3 Coupé", "Car 4 Coupé")

    def test_the_newer_layout_is_read_from_its_archives(self, newer_cars):
        for folder, archive in (("cars_train",) * 2, ("cars_test",) * 2, ("devkit", "car_devkit")):
            pack(newer_cars / folder, newer_cars / f"{archive}.tgz")
        assert len(read_cars196(newer_cars, check_counts=False).train) == 3

    def test_pictures_one_folder_deeper_are_found(self, newer_cars):
        for part in ("cars_train", "cars_test"):
            (newer_cars / part).rename(newer_cars / "moved")
            (newer_cars / part).mkdir()
            (newer_cars / "moved").rename(newer_cars / part / part)
        split = read_cars196(newer_cars, check_counts=False)
        assert all(path.is_file() for path in split.test.paths)

    def test_annotations_without_labels_are_refused(self, newer_cars):
        table = np.array([("00001.jpg",)], dtype=[("fname", object)])
        savemat(newer_cars / "devkit" / "cars_train_annos.mat", {"annotations": table})
        with pytest.raises(DataError, match=r"cars_train_annos\.mat: annotations have no field 'class'"):
            read_cars196(newer_cars, check_counts=False)

    def test_a_class_without_name_is_refused(self, older_cars):
        row = (1, 1, 8, 6, 5, "car_ims/000001.jpg")
        write_annotations(older_cars / "cars_annos.mat", [row], "relative_im_path", class_names(4))
        with pytest.raises(DataError, match=r"cars_annos\.mat: class 5 is not in 1 to 4"):
            read_cars196(older_cars, check_counts=False)

    def test_damaged_annotations_are_named(self, older_cars, put):
        put(older_cars / "cars_annos.mat", b"not from Matlab" * 20)
        with pytest.raises(DataError, match=r"cars_annos\.mat: damaged Matlab file"):
            read_cars196(older_cars, check_counts=False)

    def test_pictures_without_annotations_ask_for_them(self, older_cars):
        (older_cars / "cars_annos.mat").unlink()
        with pytest.raises(DataError, match=r"no cars_annos\.mat here"):
            read_cars196(older_cars, check_counts=False)


@pytest.fixture
def sop(tmp_path, put):
    base = tmp_path / "Stanford_Online_Products"
    for part, products in (("train", (1, 2)), ("test", (3,))):
        lines = ["image_id class_id super_class_id path"]
        for product in products:
            for i in range(2):
                file = f"coffee_maker_final/11{product}_{i}.JPG"
                put(base / file)
                lines.append(f"{len(lines)} {product} 1 {file}")
        put(base / f"Ebay_{part}.txt", "\n".join(lines) + "\n")
    return base


class TestSop:
    def test_products_are_split_as_published(self, sop):
        split = read_sop(sop, check_counts=False)
        assert split.train.class_names == ("coffee_maker/1", "coffee_maker/2")
        assert split.train.labels == (0, 0, 1, 1)
        assert split.test.paths == tuple(sop / "coffee_maker_final" / f"113_{i}.JPG" for i in range(2))

    def test_the_archive_reads_like_the_folder(self, sop, tmp_path):
        archive = pack(sop, tmp_path / "Stanford_Online_Products.zip")
        split = read_sop(archive, check_counts=False)
        assert (len(split.train), len(split.test)) == (4, 2)


@pytest.fixture
def inshop(tmp_path, put):
    base = tmp_path / "In-shop"
    listed = [
        ("a", "train"),
        ("a", "train"),
        ("b", "query"),
        ("b", "gallery"),
        ("c", "gallery"),
        ("c", "query"),
    ]
    lines = [str(len(listed)), "image_name item_id evaluation_status"]
    for i, (item, part) in enumerate(listed):
        file = f"img/WOMEN/Dresses/id_{item}/{i}_front.jpg"
        put(base / "Img" / file)
        lines.append(f"{file}    id_{item}    {part}")
    put(base / "Eval" / "list_eval_partition.txt", "\n".join(lines) + "\n")
    return base


class TestInshop:
    def test_queries_and_gallery_share_their_items(self, inshop):
        split = read_inshop(inshop, check_counts=False)
        assert split.train.class_names == ("id_a",)
        assert split.query.class_names == split.gallery.class_names == ("id_b", "id_c")
        assert (split.query.labels, split.gallery.labels) == ((0, 1), (0, 1))
        assert split.test is None

    def test_the_archive_of_pictures_is_read(self, inshop):
        pack(inshop / "Img" / "img", inshop / "Img" / "img.zip")
        split = read_inshop(inshop, check_counts=False)
        assert all(path.is_file() for path in split.query.paths)

    def test_the_archive_beside_the_list_is_read(self, inshop, tmp_path):
        pack(inshop / "Img" / "img", tmp_path / "img.zip")
        shutil.move(inshop / "Eval" / "list_eval_partition.txt", tmp_path)
        assert len(read_inshop(tmp_path / "img.zip", check_counts=False).gallery) == 2

    def test_an_archive_of_everything_is_read(self, inshop, tmp_path):
        archive = tmp_path / "all.zip"
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in inshop.rglob("*.*"):
                zipped.write(path, path.relative_to(inshop))
        assert len(read_inshop(archive, check_counts=False).train) == 2

    def test_an_unknown_part_is_refused(self, inshop, put):
        put(inshop / "Eval" / "list_eval_partition.txt", "1\nheading\nimg/a.jpg id_a holdout\n")
        with pytest.raises(DataError, match="part 'holdout' is none of train, query, gallery"):
            read_inshop(inshop, check_counts=False)


@pytest.fixture(
    params=[(read_cub200, "cub"), (read_cars196, "older_cars"), (read_sop, "sop"), (read_inshop, "inshop")]
)
def reader_and_root(request):
    return request.param[0], request.getfixturevalue(request.param[1])


class TestEveryReader:
    def test_too_few_pictures_are_told_from_the_published_numbers(self, reader_and_root):
        read, root = reader_and_root
        with pytest.raises(
            DataError, match=r"train has \d pictures of \d classes, but [\d,]+ of [\d,]+ were"
        ):
            read(root)

    def test_missing_pictures_are_counted_and_named(self, reader_and_root):
        read, root = reader_and_root
        gone = next(path for path in root.rglob("*") if path.suffix.lower() == ".jpg")
        gone.unlink()
        with pytest.raises(DataError, match=rf"1 of \d pictures are missing: .*{gone.name}"):
            read(root, check_counts=False)

    def test_no_class_is_in_two_parts(self, reader_and_root):
        read, root = reader_and_root
        split = read(root, check_counts=False)
        shown = split.test or split.query
        assert not set(split.train.class_names) & set(shown.class_names)


@pytest.mark.parametrize("read", READERS)
def test_a_folder_of_something_else_is_refused(read, tmp_path, put):
    put(tmp_path / "notes.txt", "nothing of the kind")
    with pytest.raises(DataError, match=r"give the (data set's )?folder"):
        read(tmp_path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["nowhere", "nowhere.tgz"])
def test_a_missing_root_is_named(read, name, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*: no such folder or archive"):
        read(tmp_path / name)


def test_the_published_numbers_pass(tmp_path, put):
    """A full-size CUB, with one file standing for all pictures."""
    base = tmp_path / "CUB_200_2011"
    sizes = [58] * 36 + [59] * 64 + [59] * 76 + [60] * 24
    picture = put(base / "images" / "x.jpg")
    labels = [number for number, size in enumerate(sizes, 1) for _ in range(size)]
    put(base / "classes.txt", "".join(f"{number} class {number}\n" for number in range(1, 201)))
    put(base / "images.txt", "".join(f"{i} {picture.name}\n" for i in range(1, len(labels) + 1)))
    put(base / "image_class_labels.txt", "".join(f"{i} {label}\n" for i, label in enumerate(labels, 1)))
    split = read_cub200(base)
    assert (len(split.train), len(split.test)) == (5864, 5924)
    put(
        base / "image_class_labels.txt",
        "".join(f"{i} {min(label, 199)}\n" for i, label in enumerate(labels, 1)),
    )
    with pytest.raises(
        DataError, match="test has 5,924 pictures of 99 classes, but 5,924 of 100 were published"
    ):
        read_cub200(base)
