"""from_dict, to_dict and parse_override: strict in both directions."""

import dataclasses
import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.config import from_dict, parse_override, to_dict
from avsl_core.errors import ConfigError
from avsl_core.models import AvslConfig, BackboneConfig, build_model


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 2
    names: tuple[str, ...] = ("a",)

    def __post_init__(self):
        if self.depth < 0:
            raise ConfigError(f"depth must not be negative, not {self.depth}")


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    count: int = 1
    rate: float = 0.5
    flag: bool = False
    title: str = "x"
    mode: Literal["row", "global"] = "row"
    levels: tuple[int | str, ...] = (2, 3)
    span: tuple[float, float] = (0.0, 1.0)
    mixed: tuple[int, str] = (0, "")
    limit: float | None = None


@dataclasses.dataclass(frozen=True)
class Needy:
    size: int
    name: str = "n"


outers = st.builds(
    Outer,
    inner=st.builds(Inner, depth=st.integers(0, 9), names=st.lists(st.text()).map(tuple)),
    count=st.integers(),
    rate=st.floats(allow_nan=False),
    flag=st.booleans(),
    title=st.text(),
    mode=st.sampled_from(["row", "global"]),
    levels=st.lists(st.integers() | st.text()).map(tuple),
    span=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    limit=st.none() | st.floats(allow_nan=False),
)


class TestRoundTrip:
    @given(outers)
    def test_through_json_gives_the_same_configuration(self, config):
        assert from_dict(Outer, json.loads(json.dumps(to_dict(config)))) == config

    def test_to_dict_is_plain(self):
        assert to_dict(BackboneConfig("net", (1, "head"))) == {
            "name": "net",
            "levels": [1, "head"],
            "undownsampled": False,
        }

    def test_to_dict_gives_groups_within_groups(self):
        assert to_dict(Outer())["inner"] == {"depth": 2, "names": ["a"]}

    def test_of_a_real_configuration(self):
        config = AvslConfig(BackboneConfig("net", (1, 2)), nodes=7, certainty="global")
        assert from_dict(AvslConfig, to_dict(config)) == config

    def test_does_not_keep_the_given_values_by_reference(self):
        values = {"levels": [1, 2]}
        config = from_dict(Outer, values)
        values["levels"].append(3)
        assert config.levels == (1, 2)


class TestFromDict:
    def test_missing_keys_keep_their_default(self):
        assert from_dict(Outer, {"count": 5}) == Outer(count=5)
        assert from_dict(Outer, {"inner": {"depth": 4}}) == Outer(inner=Inner(4))

    def test_a_built_group_is_taken_as_it_is(self):
        assert from_dict(Outer, {"inner": Inner(7)}).inner == Inner(7)

    def test_a_whole_number_serves_as_float_and_becomes_one(self):
        rate = from_dict(Outer, {"rate": 2}).rate
        assert (rate, type(rate)) == (2.0, float)

    def test_unknown_key_names_the_known_ones(self):
        with pytest.raises(
            ConfigError, match="unknown key 'cuont' in configuration; known: inner, count, rate"
        ):
            from_dict(Outer, {"cuont": 1})

    def test_unknown_key_in_a_group_says_which_group(self):
        with pytest.raises(
            ConfigError, match=r"unknown key 'dept' in file\.json: inner; known: depth, names"
        ):
            from_dict(Outer, {"inner": {"dept": 1}}, where="file.json")

    def test_unknown_key_in_a_group_of_several_kinds_is_named(self):
        with pytest.raises(ConfigError, match="unknown key 'nodez'"):
            build_model("diml", {"base": {"nodez": 5}})

    def test_a_missing_key_without_default_is_named(self):
        with pytest.raises(ConfigError, match="card lacks 'size'"):
            from_dict(Needy, {"name": "x"}, where="card")
        assert from_dict(Needy, {"size": 3}) == Needy(3)

    def test_what_the_configuration_itself_refuses_passes_through(self):
        with pytest.raises(ConfigError, match="depth must not be negative"):
            from_dict(Outer, {"inner": {"depth": -1}})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("count", "1"),
            ("count", 1.0),
            ("count", True),
            ("count", None),
            ("rate", "0.5"),
            ("rate", True),
            ("rate", 10**400),
            ("flag", 1),
            ("flag", "true"),
            ("title", 3),
            ("title", None),
            ("mode", "column"),
            ("mode", ["row"]),
            ("levels", "23"),
            ("levels", 2),
            ("levels", [1.5]),
            ("levels", [True]),
            ("levels", {"0": 1}),
            ("span", [1.0]),
            ("span", [1.0, 2.0, 3.0]),
            ("span", ["a", "b"]),
            ("limit", "none"),
            ("inner", None),
            ("inner", 3),
            ("inner", [1]),
        ],
    )
    def test_a_value_of_the_wrong_type_is_named(self, key, value):
        with pytest.raises(ConfigError, match=f"configuration: {key}"):
            from_dict(Outer, {key: value})

    @pytest.mark.parametrize("values", [None, 3, "text", [], ["count"]])
    def test_something_else_than_a_mapping_is_refused(self, values):
        with pytest.raises(ConfigError, match="must be a group of options"):
            from_dict(Outer, values)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4
        )
    )
    def test_any_value_at_any_key_is_taken_or_refused_with_our_error(self, value):
        for key in to_dict(Outer()):
            try:
                built = from_dict(Outer, {key: value})
            except ConfigError as error:
                assert "\n" not in str(error)
            else:
                assert isinstance(built, Outer)


class TestParseOverride:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("count=3", 3),
            ("count=-3", -3),
            ("rate=1e-3", 1e-3),
            ("rate=2", 2.0),
            ("flag=true", True),
            ("flag=Yes", True),
            ("flag=1", True),
            ("flag=off", False),
            ("flag=0", False),
            ("title=", ""),
            ("title=a=b", "a=b"),
            ("mode=global", "global"),
            ("levels=2,3,head", (2, 3, "head")),
            ("levels=2, 3 ,head", (2, 3, "head")),
            ("levels=", ()),
            ("span=0.5,1", (0.5, 1.0)),
            ("mixed=3,x", (3, "x")),
            ("limit=none", None),
            ("limit=None", None),
            ("limit=1.5", 1.5),
        ],
    )
    def test_reads_what_a_command_line_says(self, text, expected):
        key, value = parse_override(Outer, text)
        assert key == text.partition("=")[0]
        assert value == expected
        assert type(value) is type(expected)

    def test_a_value_read_is_one_that_the_configuration_takes(self):
        for text in ("count=3", "levels=1,head", "limit=none", "mode=global", "rate=2"):
            key, value = parse_override(Outer, text)
            assert getattr(from_dict(Outer, {key: value}), key) == value

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("count", "write options as key=value"),
            ("", "write options as key=value"),
            ("=3", "unknown option ''"),
            ("cuont=3", "unknown option 'cuont'; known: .*count.*"),
            ("count=three", "count=three: must be int"),
            ("count=1.5", "count=1.5: must be int"),
            ("count=", "count=: must be int"),
            ("rate=fast", "rate=fast: must be float"),
            ("flag=maybe", "flag=maybe: write true or false"),
            ("mode=column", "mode must be one of 'row', 'global', not 'column'"),
            ("span=a,b", "span=a: must be float"),
            ("span=1", "span=1: must have 2 entries, not 1"),
            ("limit=low", "limit=low: not a value this option takes"),
            ("inner=3", "inner must be a group of options"),
        ],
    )
    def test_says_what_is_wrong(self, text, message):
        with pytest.raises(ConfigError, match=message):
            parse_override(Outer, text)
