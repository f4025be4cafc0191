"""What the page "Compare many" works with: sets of pictures behind keys, encoded and measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode

from app.learn.pictures import NAMES
from app.work.examples import EXAMPLES
from app.work.keep import Keep, KeptError, display_name
from app.work.models import Models
from app.work.turnstile import BusyError, SlowError
from app.work.workbench import PictureFile, Workbench, content_key
from avsl_core.comparison import EncodedPicture
from avsl_core.errors import AvslError, DataError
from avsl_core.many import FEWEST, MOST, ManyComparison, compare_many

__all__ = ["SETS", "ExampleSet", "Given", "ManyBench", "Measured", "Member", "Reading", "set_query"]

_BIRDS = (
    "jay",
    "jay-turned",
    "jay-grey",
    "jay-fan-crest",
    "heron-dagger",
    "heron-spoon",
    "owl",
    "owl-spotted",
)
_THINGS = ("apple-red", "apple-green", "orange", "shirt-plain", "shirt-striped")


@dataclass(frozen=True)
class ExampleSet:
    """Pictures that come with the project.

    Attributes:
        name: Its name in addresses.
        title: What its button says.
        pictures: Names of its pictures, without ending.
    """

    name: str
    title: str
    pictures: tuple[str, ...]


SETS = (
    ExampleSet("birds", "Eight birds", _BIRDS),
    ExampleSet("things", "Fruit and shirts", _THINGS),
    ExampleSet("all", "All of them", _BIRDS + _THINGS),
)
"""The first is shown when the page opens."""


@dataclass(frozen=True)
class Member:
    """A picture of a set.

    Attributes:
        key: Of the kept picture.
        name: What the visitor calls it: the file's name.
        encoded: As the model sees it.
        title: What the page calls it, where it is one of ours.
    """

    key: str
    name: str
    encoded: EncodedPicture
    title: str = ""

    @property
    def shown(self) -> str:
        """What to call it on the page."""
        return self.title or self.name


@dataclass(frozen=True, eq=False)
class Measured:
    """A set with all its distances.

    Attributes:
        members: Its pictures, in the order in which they were given.
        many: Their distances.
        bench: Of the model that measured.
        model: Its name.
        set: Name of the example set that they are; empty for a visitor's own.
    """

    members: tuple[Member, ...]
    many: ManyComparison
    bench: Workbench
    model: str
    set: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all members."""
        return tuple(member.key for member in self.members)

    @property
    def link(self) -> dict[str, str]:
        """What an address says of it, for :meth:`ManyBench.linked`; an example set's never expires."""
        return {"examples": self.set} if self.set else {"set": ",".join(self.keys)}


@dataclass(frozen=True)
class Reading:
    """How far the pictures of a set were looked at.

    Attributes:
        done: Pictures looked at.
        count: Pictures in all.
        name: Of the next one.
    """

    done: int
    count: int
    name: str


@dataclass(frozen=True)
class Given:
    """Pictures of a set before they are looked at.

    Attributes:
        files: The pictures.
        problems: What is wrong with others.
        set: Name of the example set that they are; empty for a visitor's own.
        keys: Of the files, where they are kept already: looking at them again does not keep them for longer.
    """

    files: tuple[PictureFile, ...]
    problems: tuple[str, ...] = ()
    set: str = ""
    keys: tuple[str, ...] = ()


def set_query(link: Mapping[str, str], method: str) -> str:
    """The query of an address that leads to a set.

    Args:
        link: Which one, as :attr:`Measured.link` has it.
        method: Name of the model.

    Example:
        >>> set_query({"set": "0a,1b"}, "my model")
        'set=0a,1b&method=my+model'
    """
    return urlencode({**link, "method": method}, safe=",")


class ManyBench:
    """Knows the example sets and the kept ones, and measures both.

    Args:
        models: What compares.
        keep: Where visitors' pictures are kept, for the links from cells to pairs.
        examples: Folder of the example pictures.
    """

    def __init__(self, models: Models, keep: Keep, examples: Path = EXAMPLES) -> None:
        self.models, self.keep, self.examples = models, keep, examples

    def example(self, name: str) -> Given:
        """An example set by its name; the first one if there is none of that name."""
        chosen = next((one for one in SETS if one.name == name), SETS[0])
        files = [PictureFile(self.examples / f"{stem}.webp", f"{stem}.webp") for stem in chosen.pictures]
        return Given(tuple(file for file in files if file.path.is_file()), (), chosen.name)

    def linked(self, link: Mapping[str, str]) -> Given:
        """What an address names: kept pictures, or an example set.

        Raises:
            KeptError: If it names kept pictures of which fewer than two are left.
        """
        if not link.get("set"):
            return self.example(link.get("examples", ""))
        return self.kept(link["set"].split(","))

    def kept(self, keys: Sequence[str]) -> Given:
        """Kept pictures; what is no longer there is left out.

        Raises:
            KeptError: If fewer than two are left.
        """
        files: dict[str, PictureFile] = {}
        lost = []
        for key in list(dict.fromkeys(keys))[:MOST]:
            try:
                files[key] = self.keep.get(key)
            except KeptError as error:
                lost.append(error)
        if len(files) < FEWEST and lost:
            raise lost[0]
        problems = (
            [f"{len(lost)} of the pictures are no longer kept here; the others are shown"] if lost else []
        )
        return Given(tuple(files.values()), tuple(problems), keys=tuple(files))

    @cached_property
    def _titles(self) -> dict[str, str]:
        """What our own pictures show, by their content: links to them know no more than that."""
        files = {self.examples / f"{stem}.webp": words for stem, words in NAMES.items()}
        return {
            content_key(file.read_bytes()): words.removeprefix("the ")
            for file, words in files.items()
            if file.is_file()
        }

    def _title(self, file: PictureFile) -> str:
        return self._titles.get(content_key(file.read()), "")

    def measure(self, given: Given, method: str, problems: list[str]) -> Iterator[Reading | Measured]:
        """Look at every picture once and measure all of them, telling how far it has come.

        Args:
            given: The pictures.
            method: Name of the model.
            problems: What cannot be used is said here, each picture by its name.

        Yields:
            How far it has come, at last the result.

        Raises:
            DataError: If fewer than two pictures can be used.
            CheckpointError: If the model is damaged.
            BusyError: If the model has too much to do.
            SlowError: If this takes longer than it may.
        """
        problems.extend(given.problems)
        files = given.files
        if len(files) > MOST:
            problems.append(f"{len(files)} pictures are more than fit here; the first {MOST} are compared")
            files = files[:MOST]
        bench = self.models.named(method)
        members: dict[str, Member] = {}
        limit = bench.turnstile.deadline()
        for index, file in enumerate(files):
            limit.check()
            name = display_name(file.name)
            yield Reading(index, len(files), name)
            try:
                original = bench.original(file)
                _, encoded = bench.encode(original)
                key = given.keys[index] if given.keys else self.keep.put(original)
            except (BusyError, SlowError):
                raise  # no fault of this picture, and no use to go on
            except AvslError as error:
                problems.append(str(error))
                continue
            if key in members:
                problems.append(f"{name}: is there twice; it is compared once")
            members.setdefault(key, Member(key, name, encoded, self._title(original)))
        if len(members) < FEWEST:
            raise DataError(
                f"Fewer than two different pictures can be used; choose {FEWEST} to {MOST} pictures"
            )
        with bench.turnstile.turn():
            many = compare_many(bench.checkpoint, [member.encoded for member in members.values()])
        yield Measured(tuple(members.values()), many, bench, self.models.name(bench), given.set)
