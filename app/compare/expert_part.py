"""The step inside the levels: gates P, linkages W and the trace of a chosen node, drawn only when opened."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.compare.expert import expert_html, level_choices, node_choices
from avsl_core.comparison import Comparison
from avsl_core.models import AvslModel, SimilarityModel

__all__ = ["ExpertPart"]

_NO_CHOICE = (gr.update(choices=[], value=None), gr.update(choices=[], value=None))

Update = Any  # what Gradio takes as the new state of a component


class ExpertPart:
    """A part of a page that follows its first method, where that one has levels with gates.

    Args:
        comparison: Finds the comparison on the page, from the two pictures and the method's name; None while
            there is none.
        model: Finds the method's model by its name.
    """

    def __init__(
        self,
        comparison: Callable[[Any, Any, object], Comparison | None],
        model: Callable[[object], SimilarityModel],
    ) -> None:
        self._comparison, self._model = comparison, model

    def build(self) -> None:
        """Lay out the part."""
        self.opened = gr.State(False)
        title = "Inside the levels: gates P and linkages W"
        with gr.Accordion(title, open=False, elem_id="expert") as self.part:
            self.level = gr.Radio([], label="Level", elem_id="level")
            self.node = gr.Dropdown([], label="Node, strongest first", elem_id="node", filterable=False)
            self.details = gr.HTML("", elem_id="details")

    def connect(
        self,
        pictures: Sequence[Any],
        method: Any,
        compared: Sequence[Any],
        leads: Any,
        options: dict[str, Any],
    ) -> None:
        """Connect the events.

        Args:
            pictures: The two pictures' components.
            method: Component of the method's name.
            compared: Events after which another comparison is on the page.
            leads: Registers what happens when a level is asked for from elsewhere on the page.
            options: For events that touch the model.
        """
        inside = [self.level, self.node, self.details]
        given = [*pictures, method]
        latest = {**options, "trigger_mode": "always_last"}
        for event in compared:
            event.then(self.on_compared, [*given, self.opened], [self.part, *inside], **latest)
        self.part.expand(self.on_expand, given, [self.opened, *inside], **options)
        self.part.collapse(lambda: False, None, [self.opened], queue=False, api_visibility="private")
        leads(self._on_nodes, given, [self.opened, self.part, *inside], **options)
        chosen = [*pictures, self.level, self.node, method]
        self.level.input(self.on_level, chosen, [self.node, self.details], **latest)
        self.node.input(self.on_node, chosen, [self.details], **latest)

    def on_compared(self, a: Any, b: Any, method: object = "", opened: object = True) -> list[Update]:
        """Another comparison: is there anything to look into, and what, if the part is open?"""
        has_gates = isinstance(self._model(method), AvslModel)
        inside = self._inside(a, b, method) if has_gates and opened else [*_NO_CHOICE, ""]
        return [gr.update(visible=has_gates), *inside]

    def on_expand(self, a: Any, b: Any, method: object = "") -> list[Update]:
        """The part is opened: levels, nodes and details."""
        return [True, *self._inside(a, b, method)]

    def on_nodes(self, a: Any, b: Any, method: object, level: int) -> list[Update]:
        """From a level's maps to its nodes: the part opens there."""
        return [True, gr.update(open=True), *self._inside(a, b, method, level)]

    def on_level(
        self, a: Any, b: Any, level: int | None, node: int | None = None, method: object = ""
    ) -> list[Update]:
        """Another level: its strongest nodes."""
        comparison = self._comparison(a, b, method)
        if comparison is None or level is None:
            return [gr.skip(), gr.skip()]
        nodes = node_choices(comparison, level)
        details = expert_html(comparison, self._model(method), level, nodes[0][1])
        return [gr.update(choices=nodes, value=nodes[0][1]), details]

    def on_node(self, a: Any, b: Any, level: int | None, node: int | None, method: object = "") -> Update:
        """Another node: its linkages and its trace."""
        comparison = self._comparison(a, b, method)
        if comparison is None or level is None or node is None:
            return gr.skip()
        return expert_html(comparison, self._model(method), level, node)

    def _on_nodes(self, a: Any, b: Any, method: object, event: gr.EventData) -> list[Update]:
        data = event._data if isinstance(event._data, dict) else {}
        level = data.get("level")  # it comes from outside
        return self.on_nodes(a, b, method, level if isinstance(level, int) else -1)

    def _inside(self, a: Any, b: Any, method: object, level: int | None = None) -> list[Update]:
        """Levels, the nodes of one of them (the highest if there is no such one), and its strongest node."""
        comparison = self._comparison(a, b, method)
        levels = [] if comparison is None else level_choices(comparison)
        if comparison is None or not levels or not isinstance(self._model(method), AvslModel):
            return [*_NO_CHOICE, ""]
        chosen = levels[0][1]
        if level is not None and level in [number for _, number in levels]:
            chosen = level
        nodes = node_choices(comparison, chosen)
        return [
            gr.update(choices=levels, value=chosen),
            gr.update(choices=nodes, value=nodes[0][1]),
            expert_html(comparison, self._model(method), chosen, nodes[0][1]),
        ]
