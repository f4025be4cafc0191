"""What Gradio remembers of pages and uploads stays within bounds, and pages still work with what is left."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import gradio.routes
import pytest
from gradio.exceptions import Error
from gradio.route_utils import FileUploadProgressNotTrackedError
from gradio.routes import App
from gradio_client import Client

from app.settings import Settings
from app.site.sessions import bound_sessions, bound_uploads
from tests.app.site.door_site import served


class Page:
    """A page with two events, as its visitors use it: a text is answered, and the choices are made others."""

    def __init__(self, capacity):
        with gr.Blocks() as self.blocks:
            self.menu, seen, shown = gr.Dropdown(["tit"]), gr.State(0), gr.HTML()
            gr.Button().click(
                lambda bird, count: (gr.skip(), count + 1, f"{bird} {count + 1}"),
                [self.menu, seen],
                [self.menu, seen, shown],
            )
            gr.Button().click(lambda: gr.update(choices=["jay"]), None, self.menu)
        self.blocks.app = App.create_app(self.blocks)
        bound_sessions(self.blocks, capacity)

    def state(self, visitor):
        return self.blocks.app.state_holder[visitor]

    def look(self, visitor, bird):
        """What is shown."""
        return self._answer(0, visitor, [bird, None])[2]

    def change_choices(self, visitor):
        self._answer(1, visitor, [])

    def _answer(self, event, visitor, values):
        work = self.blocks.process_api(self.blocks.fns[event], values, state=self.state(visitor))
        return _run(work)["data"]


@pytest.fixture
def page():
    return Page(capacity=3)


def test_answers_add_no_components_to_a_page(page):
    page.look("a", "tit")
    before = set(page.state("a").blocks_config.blocks)
    for _ in range(5):
        page.look("a", "tit")
    assert set(page.state("a").blocks_config.blocks) == before


def test_what_a_page_shows_is_not_kept(page):
    assert page.look("a", "tit") == "tit 1"
    assert list(page.state("a").components) == []


def test_a_component_made_anew_is_that_of_its_visitor_alone(page):
    page.change_choices("a")
    assert page.look("a", "jay") == "jay 1"
    with pytest.raises(Error, match="jay"):
        page.look("b", "jay")


def test_a_visitor_who_comes_often_is_remembered(page):
    for other in "bcdef":
        page.look("a", "tit")
        page.look(other, "tit")
    assert page.look("a", "tit") == "tit 6"


def test_the_visitor_who_was_away_for_longest_starts_over(page):
    for visitor in "abcd":
        page.look(visitor, "tit")
    assert page.look("d", "tit") == "tit 2"
    assert page.look("a", "tit") == "tit 1"


def test_old_uploads_are_forgotten():
    progress = uploads(3)
    for number in range(5):
        progress.set_done(str(number))
    assert progress.is_done("4")
    with pytest.raises(FileUploadProgressNotTrackedError):
        progress.is_done("1")


def test_asking_for_unknown_uploads_leaves_little_behind():
    progress = uploads(3)

    async def ask():
        for number in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(progress.is_tracked(str(number)), timeout=0.001)

    _run(ask())
    assert len(progress._signals) <= 3


def test_a_site_keeps_no_list_of_past_events(tmp_path):
    with served(Settings(), tmp_path) as site:
        client = Client(site.url, verbose=False)
        assert [client.predict(word, api_name="/shout") for word in "abc"] == ["A", "B", "C"]
        assert len(site.blocks._queue.event_analytics) <= 1


def test_a_site_remembers_pages_and_uploads_within_bounds(tmp_path):
    with served(Settings(), tmp_path) as site:
        sessions = site.blocks.app.state_holder
        for visitor in range(3000):
            sessions[str(visitor)]
        progress = gradio.routes.file_upload_statuses
        for upload in range(3000):
            progress.set_done(str(upload))
        assert len(sessions.session_data) < 3000
        with pytest.raises(FileUploadProgressNotTrackedError):
            progress.is_done("0")


def uploads(capacity):
    bound_uploads(capacity)
    return gradio.routes.file_upload_statuses


def _run(work):
    """In a thread of its own: where a browser was driven before, the main thread has a loop that runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
