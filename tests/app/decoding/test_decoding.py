"""Decoding in a process that may be lost: same pixels, same words, and nothing takes the app along."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.decoding.decoder import Decoder, HereDecoder
from app.work.workbench import PictureFile, Workbench
from avsl_core.comparison import encode_picture
from avsl_core.encoding import load_for
from avsl_core.errors import ImageError
from avsl_core.gallery import BuildOptions, build_gallery
from avsl_core.images import ImageLimits, Preprocess, load_image
from tests.app.conftest import ROOT
from tests.app.hostile import pictures, plain, scan_bomb

PATIENCE_S = 3.0  # far more than a small picture takes, and far less than a bomb of so many scans
SCANS = 20_000


@pytest.fixture(scope="module")
def decoder():
    with closing(Decoder(processes=1)) as made:
        made.decode(plain(), "first")  # it has started then
        yield made


@pytest.fixture
def brief():
    """One that is soon out of patience."""
    with closing(Decoder(processes=1, seconds=PATIENCE_S)) as made:
        made.decode(plain(), "first")
        yield made


def outcome(make, *arguments, **options):
    try:
        return make(*arguments, **options).tolist()
    except ImageError as error:
        return str(error)


def test_pixels_and_messages_are_those_of_decoding_here(decoder):
    here = HereDecoder()
    preprocess = Preprocess(size=32, resize=40)
    chosen = [sample for sample in pictures() if len(sample.data) < 50_000][::4]
    assert len(chosen) > 90
    different = [
        sample.label
        for sample in chosen
        if outcome(decoder.crop, sample.data, "x", preprocess)
        != outcome(here.crop, sample.data, "x", preprocess)
    ]
    assert different == []


def test_a_whole_picture_is_what_load_image_gives(decoder):
    data = plain("JPEG", "CMYK")
    found = decoder.decode(data, "x")
    assert np.array_equal(found, load_image(data))
    assert found.flags.writeable
    assert found.flags.c_contiguous


def test_a_crop_is_what_the_network_sees(decoder):
    data = large("JPEG")
    for preprocess in (
        Preprocess(),
        Preprocess(size=100, resize=130, interpolation="bilinear", antialias=False),
    ):
        assert np.array_equal(
            decoder.crop(data, "x", preprocess), preprocess.crop(load_for(preprocess, data))
        )


def test_a_picture_scaled_down_is_a_thumbnail_of_it(decoder):
    data = large("PNG")
    expected = Image.fromarray(load_image(data))
    expected.thumbnail((500, 500), Image.Resampling.LANCZOS)
    found = decoder.within(data, "x", 500, resampling=Image.Resampling.LANCZOS)
    assert np.array_equal(found, np.asarray(expected))


def test_the_whole_size_of_a_picture_decoded_smaller_is_known(decoder):
    pixels, size = decoder.load(Preprocess(), large("JPEG"), "x")
    assert size == (2400, 1800)
    assert pixels.shape == (450, 600, 3)


def test_a_refusal_ends_no_process(decoder):
    before = decoder.pids
    for data in (b"", b"nothing", plain()[:99], plain("TIFF")[:60]):
        with pytest.raises(ImageError, match=r"^wren\.png: "):
            decoder.decode(data, "wren.png")
    assert decoder.pids == before


def test_limits_hold_in_the_process():
    with closing(Decoder(ImageLimits(max_pixels=1000), processes=1)) as small:
        with pytest.raises(ImageError, match="above the limit of 1,000 pixels"):
            small.decode(plain(), "x")
        with pytest.raises(ImageError, match="more than the"):
            small.decode(bytes(65 * 2**20), "x")


@pytest.mark.parametrize("name", ["<b>", "lone\ud800", "nul\0", "two\nlines", "x" * 5000, "", "🦆"])
def test_any_name_can_be_told(decoder, name):
    assert outcome(decoder.decode, b"nothing", name) == outcome(HereDecoder().decode, b"nothing", name)


def test_a_picture_that_takes_too_long_is_given_up_and_the_next_one_served(brief):
    before = brief.pids
    with pytest.raises(ImageError, match=r"^scans\.jpg: took too long to decode, more than 3 seconds"):
        brief.decode(scan_bomb(1500, SCANS), "scans.jpg")
    assert brief.pids != before
    assert brief.decode(plain(), "next").shape == (40, 48, 3)


def test_a_process_that_hangs_is_killed_and_the_next_picture_served(brief):
    (pid,) = brief.pids
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ImageError, match="took too long"):
        brief.decode(plain(), "x")
    assert not exists(pid)
    assert brief.decode(plain(), "next").shape == (40, 48, 3)


def test_a_crash_is_an_error_of_that_picture_and_the_next_one_is_served(decoder):
    (pid,) = decoder.pids
    killer = threading.Thread(target=when_busy, args=(pid, signal.SIGSEGV))
    killer.start()
    with pytest.raises(ImageError, match=r"^bad\.jpg: broke the program that decodes pictures"):
        decoder.decode(scan_bomb(1500, SCANS), "bad.jpg")
    killer.join()
    assert decoder.decode(plain(), "next").shape == (40, 48, 3)


def test_a_process_that_was_ended_while_idle_is_replaced_unseen(decoder):
    (pid,) = decoder.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: not exists(pid))
    assert decoder.decode(plain(), "x").shape == (40, 48, 3)


def test_a_picture_that_needs_too_much_memory_is_refused():
    flat = Image.new("RGB", (6000, 6000))
    with closing(Decoder(processes=1, memory=400 * 2**20)) as poor:
        assert poor.decode(plain(), "small").shape == (40, 48, 3)
        with pytest.raises(ImageError, match="memory"):
            poor.decode(encoded(flat, "PNG"), "wall")
        assert poor.decode(plain(), "next").shape == (40, 48, 3)


def test_the_largest_picture_that_is_allowed_fits():
    with closing(Decoder(processes=1)) as decoder:
        assert decoder.decode(
            encoded(Image.new("RGBA", (8000, 5000)), "PNG", compress_level=1), "x"
        ).shape == (
            5000,
            8000,
            3,
        )


def test_several_visitors_are_served_at_once():
    found = []
    with closing(Decoder(processes=2)) as decoder:
        threads = [
            threading.Thread(
                target=lambda shade=shade: found.append((shade, decoder.decode(flat(shade), "x")))
            )
            for shade in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 12
    assert all((pixels == shade).all() for shade, pixels in found)


def test_the_processes_can_open_nothing_and_know_no_secrets(decoder, monkeypatch):
    monkeypatch.setenv("AVSL_PASSWORD", "tell nobody")
    with closing(Decoder(processes=1)) as made:
        made.decode(plain(), "x")
        (pid,) = made.pids
        limits = {
            line[:25].strip(): line[25:].split() for line in read(f"/proc/{pid}/limits").splitlines()[1:]
        }
        opened = list(Path(f"/proc/{pid}/fd").iterdir())
        assert int(limits["Max open files"][1]) <= len(opened)
        assert limits["Max core file size"][1] == limits["Max file size"][1] == "0"
        assert int(limits["Max address space"][1]) == 2 * 2**30
        assert "tell nobody" not in read(f"/proc/{pid}/environ")
        assert not any(str(file.readlink()).startswith("socket") for file in opened)


def test_it_starts_without_the_packages_of_the_model(decoder):
    mapped = read(f"/proc/{decoder.pids[0]}/maps")
    assert "numpy" in mapped
    assert "torch" not in mapped


@pytest.mark.parametrize("busy", [False, True])
def test_processes_end_with_the_one_that_started_them(busy, tmp_path):
    picture = tmp_path / "scans.jpg"
    picture.write_bytes(scan_bomb(1500, SCANS))
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from app.decoding.decoder import Decoder\n"
        "decoder = Decoder(processes=1, seconds=6.0)\n"
        "picture = Path(sys.argv[1])\n"
        "decoder.decode(Path(sys.argv[2]).read_bytes(), 'first')\n"
        "print(decoder.pids[0], flush=True)\n"
        "if sys.argv[3] == 'True':\n"
        "    decoder.decode(picture.read_bytes(), 'x')\n"
        "time.sleep(60)\n"
    )
    small = tmp_path / "small.png"
    small.write_bytes(plain())
    command = [sys.executable, "-c", script, str(picture), str(small), str(busy)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        if busy:
            when_busy(pid, None)
        parent.kill()
    end = time.monotonic() + 60  # the bomb takes longer
    while exists(pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not exists(pid)


def test_a_closed_one_refuses_and_leaves_nothing():
    decoder = Decoder(processes=2)
    pids = decoder.pids
    decoder.decode(plain(), "x")
    decoder.close()
    assert not any(map(exists, pids))
    with pytest.raises(ImageError, match="on our side"):
        decoder.decode(plain(), "x")
    decoder.close()


def test_one_that_is_forgotten_leaves_nothing():
    decoder = Decoder(processes=1)
    (pid,) = decoder.pids
    del decoder
    assert not exists(pid)


def test_a_workbench_sees_the_same_picture_through_it(checkpoint, files, decoder):
    apart, here = Workbench(checkpoint, decoder=decoder), Workbench(checkpoint)
    for name in ("one.png", "two.jpg", "scan.tif"):
        file = PictureFile(files[name], name)
        crop = apart.encode(file)[1].crop
        assert np.array_equal(crop, encode_picture(checkpoint, files[name]).crop)
        assert apart.preview(file, always=True).read_bytes() == here.preview(file, always=True).read_bytes()
    with pytest.raises(ImageError, match=r"^broken\.jpg: "):
        apart.encode(PictureFile(files["broken.jpg"], "broken.jpg"))


def test_a_gallery_built_through_it_is_the_same(checkpoint, collection, decoder, tmp_path):
    apart = build_gallery(checkpoint, collection, tmp_path / "apart", options=BuildOptions(load=decoder.load))
    here = build_gallery(checkpoint, collection, tmp_path / "here")
    assert (apart.added, apart.skipped) == (here.added, here.skipped) == (15, ())
    for name in ("apart", "here"):
        assert len(list((tmp_path / name / "thumbnails").rglob("*.webp"))) == 15
    stored = [
        sorted(path.read_bytes() for path in (tmp_path / name).rglob("*.webp")) for name in ("apart", "here")
    ]
    assert stored[0] == stored[1]


def large(kind):
    return encoded(Image.effect_mandelbrot((2400, 1800), (-2, -1, 1, 1), 30).convert("RGB"), kind)


def flat(shade):
    return encoded(Image.new("RGB", (300 + shade, 300), (shade, shade, shade)), "PNG")


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def exists(pid):
    """Whether a process runs; one that has ended and was not asked after does not."""
    try:
        return ") Z " not in read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return False


def when_busy(pid, number):
    """Wait until a process works on a picture, then send it a signal."""
    before = ticks(pid)
    until(lambda: ticks(pid) > before + 20)
    if number is not None:
        os.kill(pid, number)


def ticks(pid):
    """Hundredths of a second that a process has worked."""
    return int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[11])


def until(reached):
    end = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)
