"""The Bird lab: two birds side by side; change a part of one and watch the model notice."""

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from app.compare.calmly import Handler, calmly
from app.compare.results import AGAIN_SCRIPT, message_html
from app.compare.saving import save_script
from app.lab.bench import LabBench
from app.lab.results import levels_html, score_html, strip_html, verdict_html, view_html
from app.lab.state import LabState
from app.lab.words import PART_CHOICES, choices
from app.work.events import QUIET_MODEL_EVENT
from app.work.turnstile import BusyError
from avsl_core.aviary.alter import alter_part, possible_changes
from avsl_core.aviary.parameters import FORMS, PALETTES, TEXTURES, Part

__all__ = ["LabPage"]

_INTRO = (
    '<header class="avsl-head"><h1>Change a bird, and watch the model notice</h1><p>Two birds, the same to '
    "the pixel but for one part of the right one: its beak, to begin with, then whatever you change. Because "
    "the birds are drawn here, the true answer is known: see how far apart the model finds them, and whether "
    "it looks where the change is.</p></header>"
)
_OPENING = "scarlet-breasted finch"
_SAVE = save_script(
    "Two birds compared", "birds.html", ("lab-view", "lab-verdict", "lab-levels", "lab-score")
)
# Gradio gives every radio button a group of its own: the arrow keys, which move inside a group, need a hand.
_ARROWS = """() => document.getElementById("lab-change").addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step || event.target.type !== "radio") return;
  event.preventDefault();
  const choices = [...event.target.closest("fieldset").querySelectorAll("input")];
  const next = choices[(choices.indexOf(event.target) + step + choices.length) % choices.length];
  next.focus();
  next.click();
})"""
_ONLY = """
element.addEventListener("click", event => {
  const part = event.target.closest("[data-only]")?.dataset.only;
  if (part) trigger("only", { part });
});
"""

_FAILED = "This failed on our side: try again, or another change; the log of the app says more"
_RESULTS, _ALL = 6, 12  # outputs of an event: the results, and every menu with them
_VERDICT = 3  # where the verdict stands among the outputs of an event

Update = Any  # what Gradio takes as the new state of a component


def _calm(outputs: int) -> Callable[[Handler], Handler]:
    return calmly(outputs, _VERDICT, _FAILED)


class LabPage:
    """Builds the page inside the current Blocks, and answers its events.

    Args:
        bench: Aviary, model and caches.
        seeds: Where every random bird, scene and surprise takes its seed from.
    """

    def __init__(self, bench: LabBench, seeds: Callable[[], int] = lambda: secrets.randbits(31)) -> None:
        self.bench, self.seeds = bench, seeds
        self.families = bench.families()

    def build(self) -> None:
        """Lay out the page and connect its events."""
        first = self.start()
        family = self.bench.species[first.species].family
        gr.HTML(_INTRO)
        self.state = gr.State(None)
        with gr.Row(elem_id="lab-choose"):
            self.family = gr.Dropdown(
                [(name.capitalize(), name) for name in self.families],
                value=family,
                label="Family",
                elem_id="lab-family",
                filterable=False,
            )
            self.species = gr.Dropdown(
                choices(self.families[family]),
                value=first.species,
                label="Species",
                elem_id="lab-species",
                filterable=False,
            )
            other_bird = gr.Button("Another bird", elem_id="lab-other-bird")
            other_scene = gr.Button("Another scene", elem_id="lab-other-scene")
        with gr.Row(elem_id="lab"):
            with gr.Column(elem_id="lab-see"):
                self.view = gr.HTML("", elem_id="lab-view", js_on_load=_ONLY)
                with gr.Row(elem_id="lab-tools"):
                    self.outline = gr.Checkbox(
                        False, label="Show the true outline", elem_id="lab-outline", container=False
                    )
                    save = gr.Button("Save as a web page", elem_id="lab-save", size="sm")
                    save.click(None, js=_SAVE, api_visibility="private")
            with gr.Column(elem_id="lab-change"):
                self.strip = gr.HTML("", elem_id="lab-strip")
                self.part = gr.Radio(
                    list(PART_CHOICES), value=first.part, label="Part of the right bird", elem_id="lab-part"
                )
                self.form = gr.Radio([], label="Shape", elem_id="lab-form")
                self.texture = gr.Radio(choices(TEXTURES), label="Pattern", elem_id="lab-texture")
                self.palette = gr.Radio(choices(tuple(PALETTES)), label="Colour", elem_id="lab-palette")
                with gr.Row(elem_id="lab-actions"):
                    surprise = gr.Button("Surprise me", variant="primary", elem_id="lab-surprise")
                    reset = gr.Button("Reset the bird", elem_id="lab-reset")
                self.verdict = gr.HTML("", elem_id="lab-verdict", js_on_load=AGAIN_SCRIPT)
        with gr.Row(elem_id="lab-scores"):
            self.score = gr.HTML(score_html(()), elem_id="lab-score")
            forget = gr.Button("Reset score", elem_id="lab-forget", size="sm")
        self.levels = gr.HTML("", elem_id="lab-levels")
        self._connect(other_bird, other_scene, surprise, reset, forget)

    def _connect(
        self,
        other_bird: gr.Button,
        other_scene: gr.Button,
        surprise: gr.Button,
        reset: gr.Button,
        forget: gr.Button,
    ) -> None:
        menus = [self.form, self.texture, self.palette]
        results = [self.state, self.view, self.strip, self.verdict, self.levels, self.score]
        everything = [*results, self.family, self.species, self.part, *menus]
        now = [self.state, self.outline]
        blocks = gr.context.Context.root_block
        assert blocks is not None
        blocks.load(None, js=_ARROWS, api_visibility="private")
        blocks.load(self.on_open, [self.outline], everything, **QUIET_MODEL_EVENT)
        self.family.input(self.on_family, [*now, self.family], everything, **QUIET_MODEL_EVENT)
        self.species.input(self.on_species, [*now, self.species], everything, **QUIET_MODEL_EVENT)
        other_bird.click(self.on_other_bird, now, everything, **QUIET_MODEL_EVENT)
        other_scene.click(self.on_other_scene, now, results, **QUIET_MODEL_EVENT)
        surprise.click(self.on_surprise, now, everything, **QUIET_MODEL_EVENT)
        self.view.only(self._on_only, now, everything, **QUIET_MODEL_EVENT)
        reset.click(self.on_reset, [*now, self.part], everything, **QUIET_MODEL_EVENT)
        # The last choice counts, also when it is made while an earlier one is still being worked out.
        gr.on(
            [menu.input for menu in menus],
            self.on_change,
            [*now, self.part, *menus],
            results,
            trigger_mode="always_last",
            **QUIET_MODEL_EVENT,
        )
        self.part.input(
            self.on_part,
            [self.state, self.part],
            menus,
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="always_last",
        )
        self.verdict.again(self.on_again, now, results, **QUIET_MODEL_EVENT)
        self.outline.input(self.on_outline, now, results, **QUIET_MODEL_EVENT)
        forget.click(
            self.on_forget,
            [self.state],
            [self.state, self.score],
            api_visibility="private",
            show_progress="hidden",
        )

    def start(self) -> LabState:
        """The bird that the page opens with."""
        species = _OPENING if _OPENING in self.bench.species else next(iter(self.bench.species))
        return LabState(species, scene=0)

    @_calm(_ALL)
    def on_open(self, outline: bool) -> list[Update]:
        """The opening pair, with a first change to look at, which counts."""
        state = self.start()
        original = self.bench.species[state.species].bird.parts[state.part]
        palette = "scarlet" if original.palette != "scarlet" else "royal"
        look = Part(original.form, original.texture, palette)
        return self._everything(state.with_part(state.part, look, original).as_example(), outline)

    @_calm(_ALL)
    def on_family(self, state: LabState | None, outline: bool, family: str) -> list[Update]:
        """The first species of another family."""
        return self.on_species(state, outline, self.families[family][0])

    @_calm(_ALL)
    def on_species(self, state: LabState | None, outline: bool, species: str) -> list[Update]:
        """Another species, both birds the same."""
        return self._everything(self._known(state).with_bird(species, self.seeds()), outline)

    @_calm(_ALL)
    def on_other_bird(self, state: LabState | None, outline: bool) -> list[Update]:
        """A species drawn at random."""
        names = list(self.bench.species)
        return self.on_species(state, outline, names[self.seeds() % len(names)])

    @_calm(_RESULTS)
    def on_other_scene(self, state: LabState | None, outline: bool) -> list[Update]:
        """Both birds as they are, in another pose, light and place."""
        return self._results(self._known(state).with_scene(self.seeds()), outline)

    def on_part(self, state: LabState | None, part: str) -> list[Update]:
        """The menus of another part."""
        return self._menus(self._known(state), part)

    @_calm(_RESULTS)
    def on_change(
        self, state: LabState | None, outline: bool, part: str, form: str, texture: str, palette: str
    ) -> list[Update]:
        """Another look of one part of the right bird."""
        if (
            form not in FORMS[part]
        ):  # chosen in the menus of the part before, while those of this one were on the way
            return [gr.skip()] * 6
        state = self._known(state)
        original = self.bench.species[state.species].bird.parts[part]
        return self._results(state.with_part(part, Part(form, texture, palette), original), outline)

    @_calm(_ALL)
    def on_surprise(self, state: LabState | None, outline: bool) -> list[Update]:
        """One part drawn at random looks different, all others as on the left bird."""
        state = self._known(state)
        bird = self.bench.species[state.species].bird
        generator = np.random.default_rng(self.seeds())
        possible = possible_changes(bird)
        part, kind = possible[int(generator.integers(len(possible)))]
        look = alter_part(bird, part, generator, kind).parts[part]
        clean = state.with_bird(state.species, state.scene, wild=state.wild)
        return self._everything(clean.with_part(part, look, bird.parts[part]), outline)

    @_calm(_ALL)
    def on_only(self, state: LabState | None, outline: bool, part: str) -> list[Update]:
        """Of several changed parts one stays changed."""
        return self._everything(self._known(state).with_only(part), outline)

    def _on_only(self, state: LabState | None, outline: bool, event: gr.EventData) -> list[Update]:
        asked = event._data.get("part") if isinstance(event._data, dict) else None
        return self.on_only(state, outline, asked if isinstance(asked, str) else "")

    @_calm(_ALL)
    def on_reset(self, state: LabState | None, outline: bool, part: str) -> list[Update]:
        """The right bird is the left one again; the menus stay with their part."""
        state = self._known(state)
        original = self.bench.species[state.species].bird.parts[part]
        clean = state.with_bird(state.species, state.scene, wild=state.wild)
        return self._everything(clean.with_part(part, original, original), outline)

    @_calm(_RESULTS)
    def on_outline(self, state: LabState | None, outline: bool) -> list[Update]:
        """The same maps with or without the true outline; what is no map stays."""
        _, *drawn, _ = self._results(self._known(state), outline)
        return [gr.skip(), *drawn, gr.skip()]

    @_calm(_RESULTS)
    def on_again(self, state: LabState | None, outline: bool) -> list[Update]:
        """What is chosen in the menus, for which there was no answer before."""
        return self._results(self._known(state), outline)

    def on_forget(self, state: LabState | None) -> list[Update]:
        """The score starts again."""
        return [self._known(state).without_tries(), score_html(())]

    def _results(self, state: LabState, outline: bool) -> list[Update]:
        """State, birds and maps, the same small, verdict, levels and score; no more than why not for now."""
        try:
            result = self.bench.result(state)
        except BusyError as error:  # the menus show what was chosen: it stays chosen
            problem = message_html(str(error), again=True)
            return [state, gr.skip(), gr.skip(), problem, gr.skip(), gr.skip()]
        if result.place is not None:
            state = state.with_try(result.place)
        return [
            state,
            view_html(result, state, outline=outline),
            strip_html(result, state, outline=outline),
            verdict_html(result),
            levels_html(result, state, outline=outline),
            score_html(state.tries),
        ]

    def _everything(self, state: LabState, outline: bool) -> list[Update]:
        """Results, and every menu as the state says."""
        family = self.bench.species[state.species].family
        species = gr.update(choices=choices(self.families[family]), value=state.species)
        return [
            *self._results(state, outline),
            family,
            species,
            state.part,
            *self._menus(state, state.part),
        ]

    def _menus(self, state: LabState, part: str) -> list[Update]:
        look = self.bench.birds(state)[1].parts[part]
        return [gr.update(choices=choices(FORMS[part]), value=look.form), look.texture, look.palette]

    def _known(self, state: LabState | None) -> LabState:
        """The visitor's state; the opening one if the server was started anew meanwhile."""
        return self.start() if state is None else state
