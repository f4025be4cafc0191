"""Texts as a page can show and send them."""

import re
import unicodedata

__all__ = ["display_name", "plain_cell", "printable", "unbroken"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_LONGEST = 80


def printable(text: str) -> str:
    r"""A text that can be written as UTF-8: what a file's name has besides is spelt out.

    Names in an old archive need not be UTF-8. Python keeps such bytes as lone surrogates, which neither
    JSON nor an address can carry: one such name would take the page from everybody.

    Example:
        >>> printable("Vögel"), printable(b"V\xf6gel".decode("utf-8", "surrogateescape"))
        ('Vögel', 'V\\udcf6gel')
    """
    return text.encode("utf-8", "backslashreplace").decode()


def display_name(name: str) -> str:
    r"""A file's name as it may be shown to others: no folders, nothing invisible, not too long.

    A name that is shown already stays as it is.

    Example:
        >>> display_name("C:\\Users\\me\\two\u202egnp.jpg"), display_name("/")
        ('twognp.jpg', 'picture')
    """
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(c for c in re.sub(r"\s", " ", last) if unicodedata.category(c)[0] != "C")
    # Last: letters and their accents may only now stand side by side.
    whole = unicodedata.normalize("NFC", " ".join(seen.split()))
    return whole[:_LONGEST].strip() or "picture"


def unbroken(text: str) -> str:
    r"""A text in which no line ends between a number and its percent sign.

    Example:
        >>> unbroken("15 % of it")
        '15\xa0% of it'
    """
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def plain_cell(name: str) -> str:
    """A name as a cell of a table: what a spreadsheet would take for a formula gets an apostrophe in front.

    Example:
        >>> plain_cell("=1+1"), plain_cell("owl")
        ("'=1+1", 'owl')
    """
    text = printable(name)
    return f"'{text}" if text.startswith(_FORMULA) else text
