"""Names of files as a page can show and send them."""

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""A text that can be written as UTF-8: what a file's name has besides is spelt out.

    Names in an old archive need not be UTF-8. Python keeps such bytes as lone surrogates, which neither
    JSON nor an address can carry: one such name would take the page from everybody.

    Example:
        >>> printable("Vögel"), printable(b"V\xf6gel".decode("utf-8", "surrogateescape"))
        ('Vögel', 'V\\udcf6gel')
    """
    return text.encode("utf-8", "backslashreplace").decode()
