"""What the Explore page's controls offer and show: quick choices, sliders, and how to search."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.explore.shelf import OpenGallery
from app.explore.state import ExploreState

__all__ = ["ALL", "SLIDERS", "mode_update", "quick_choice", "quick_choices", "slider_label", "slider_values"]

ALL = "all"
"""The quick choice of all levels."""

SLIDERS = 6
"""Sliders on the page; a distance of more parts counts the further ones as learned."""


def quick_choices(titles: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Words and value of each quick choice: all levels, or one of them alone."""
    levels = all(title.startswith("Level ") for title, _ in titles)
    return [
        ("All levels" if levels else "All parts", ALL),
        *((f"Only {title.lower()}", str(i)) for i, (title, _) in enumerate(titles)),
    ]


def quick_choice(weights: Sequence[float]) -> str | None:
    """The quick choice that stands for these weights; None for a mixture."""
    if all(weight == 1 for weight in weights):
        return ALL
    counting = [i for i, weight in enumerate(weights) if weight > 0]
    return str(counting[0]) if len(counting) == 1 and weights[counting[0]] == 1 else None


def slider_label(titles: list[tuple[str, str]], index: int) -> str:
    """A slider's level in words; empty if there is no such level."""
    return ", ".join(filter(None, titles[index])) if index < len(titles) else ""


def slider_values(weights: Sequence[float]) -> list[float]:
    """One value for every slider there is."""
    return [*weights[:SLIDERS], *([1.0] * (SLIDERS - len(weights)))]


def mode_update(state: ExploreState, opened: OpenGallery) -> Any:
    """The choice between exact and fast, where there is one."""
    if opened.searcher.fast is None:
        return gr.update(choices=[], value=None, visible=False)
    share = opened.searcher.recall
    recall = "" if share is None else f", finds {100 * share:.1f}\u00a0% of the nearest"
    choices = [("Exact", "exact"), (f"Fast{recall}", "fast")]
    return gr.update(choices=choices, value=state.mode, visible=True)
