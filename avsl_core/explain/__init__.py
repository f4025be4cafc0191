"""Renderers: from an explanation and a picture to words, bars, maps and traces. No model runs here."""

__all__: list[str] = []
