import ipaddress
from dataclasses import fields

import pytest

from app.settings import Settings
from avsl_core.errors import ConfigError


def read(*arguments, **environment):
    return Settings.read(arguments, environment)


@pytest.fixture
def refused(capsys):
    """Give a flag that cannot be used; returns the one line of complaint."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            read(*arguments)
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    return run


def test_nothing_said_serves_this_machine_alone():
    settings = read()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 7860, 1)
    assert settings.local
    assert settings.folders_allowed


def test_a_flag_wins_over_its_variable_and_that_over_the_default():
    assert read().queue == 64
    assert read(AVSL_QUEUE="7").queue == 7
    assert read("--queue", "3", AVSL_QUEUE="7").queue == 3


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_can_come_from_the_environment(name):
    values = {"password_file": None, "port": "8001", "root_path": "/x", "trusted_proxies": "::1"}
    values |= {"share": "yes", "allow_folders": "no", "password": "long enough", "requests_per_minute": "5"}
    value = values.get(name, "5" if isinstance(getattr(Settings(), name), int | float) else "something")
    if value is not None:
        assert getattr(read(**{f"AVSL_{name.upper()}": value}), name) != getattr(Settings(), name)


def test_help_explains_every_setting(capsys):
    with pytest.raises(SystemExit) as ended:
        read("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for field in fields(Settings):
        flag = "AVSL_PASSWORD" if field.metadata["secret"] else f"--{field.name.replace('_', '-')}"
        assert flag in text


def test_an_empty_variable_is_one_that_is_not_set():
    assert read(AVSL_GALLERIES="", AVSL_PORT="").galleries is None


@pytest.mark.parametrize(
    ("flag", "value", "hint"),
    [
        ("--port", "70000", "between 1 and 65535"),
        ("--slots", "0", "at least 1"),
        ("--wait-seconds", "nan", "above 0"),
        ("--upload-hours", "-1", "above 0"),
        ("--trusted-proxies", "10.0.0.0/99", "such as 127.0.0.1"),
        ("--root-path", "/a/../b", "such as /avsl"),
        ("--allowed-hosts", "http://a.org", "such as pictures.example.org"),
    ],
)
def test_a_flag_that_makes_no_sense_is_one_line(refused, flag, value, hint):
    assert hint in refused(flag, value)


def test_a_variable_that_makes_no_sense_is_named():
    with pytest.raises(ConfigError, match="AVSL_PORT: x: give a whole number"):
        read(AVSL_PORT="x")
    with pytest.raises(ConfigError, match="AVSL_SHARE: perhaps: give yes or no"):
        read(AVSL_SHARE="perhaps")


def test_an_unknown_flag_is_refused(refused):
    assert "unrecognized" in refused("--no-such-thing", "1")


def test_the_password_comes_from_the_environment_or_a_file_and_from_no_flag(tmp_path, refused):
    file = tmp_path / "password"
    file.write_text("from a file\nnot this line\n", encoding="utf-8")
    assert read(AVSL_PASSWORD="in the open").password == "in the open"
    assert read("--password-file", str(file)).password == "from a file"
    refused("--password", "shown in every list of processes")


@pytest.mark.parametrize(
    ("content", "hint"), [("short\n", "at least 8"), ("", "first line is empty"), (None, "cannot be read")]
)
def test_a_password_that_is_none_is_refused(tmp_path, content, hint):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=hint):
        read("--password-file", str(file))


def test_two_passwords_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two passwords"):
        read("--password-file", str(tmp_path / "any"), AVSL_PASSWORD="long enough")


def test_the_password_is_not_printed():
    assert "long enough" not in repr(Settings(password="long enough"))


@pytest.mark.parametrize(
    ("arguments", "per_minute"),
    [
        ((), 0),
        (("--host", "0.0.0.0"), 600),
        (("--share",), 600),
        (("--trusted-proxies", "127.0.0.1"), 600),
        (("--requests-per-minute", "30"), 30),
        (("--host", "0.0.0.0", "--requests-per-minute", "0"), 0),
    ],
)
def test_the_pace_is_limited_where_others_can_come_in(arguments, per_minute):
    assert read(*arguments).per_minute == per_minute


@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [
        ((), ("127.0.0.1", "localhost", "::1")),
        (("--host", "0.0.0.0"), ()),
        (("--trusted-proxies", "127.0.0.1"), ()),
        (("--allowed-hosts", "A.org,b.org"), ("a.org", "b.org")),
        (("--allowed-hosts", "*"), ()),
    ],
)
def test_the_names_of_the_site(arguments, hosts):
    assert read(*arguments).hosts == hosts


def test_proxies_are_addresses_and_ranges():
    settings = read("--trusted-proxies", "127.0.0.1, 10.0.0.0/8,::1")
    networks = ("127.0.0.1/32", "10.0.0.0/8", "::1/128")
    assert settings.trusted_proxies == tuple(map(ipaddress.ip_network, networks))


def test_one_picture_can_be_no_larger_than_the_library_reads():
    with pytest.raises(ConfigError, match="up to 64 MB"):
        read("--max-upload-mb", "65")


def test_a_public_link_leads_to_one_worker():
    with pytest.raises(ConfigError, match="one worker"):
        read("--share", "--workers", "2")
