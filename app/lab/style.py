"""The look of the Bird lab: its style sheet, and a swatch of every palette on the colour menu."""

from pathlib import Path

from avsl_core.aviary.parameters import PALETTES

__all__ = ["lab_css"]

_SHEET = Path(__file__).with_name("lab.css")


def lab_css() -> str:
    """The style sheet of the page."""
    swatches = "".join(
        f"#lab-palette label:nth-of-type({number})::before "
        f"{{ background: linear-gradient(135deg, rgb{palette.base} 62%, rgb{palette.mark} 62%); }}\n"
        for number, palette in enumerate(PALETTES.values(), 1)
    )
    return _SHEET.read_text(encoding="utf-8") + swatches
