import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image

from app.api.doors import add_doors
from app.api.service import Service, ServiceLimits
from app.api.tools import add_tools
from app.compare.page import ComparePage
from app.explore.bench import ExploreBench
from app.explore.builds import BuildDesk, BuildLimits
from app.explore.page import ExplorePage
from app.explore.shelf import Demo, Shelf
from app.site.own_files import OwnFilesBlocks
from app.work.examples import ExamplePair
from app.work.keep import Keep
from app.work.models import Models
from app.work.workbench import PictureFile, Workbench
from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.gallery import build_gallery
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution
from avsl_core.models import (
    AdaptationConfig,
    AdaptationModel,
    BackboneConfig,
    DimlConfig,
    DimlModel,
    EmbeddingConfig,
    RamlConfig,
    RamlModel,
)
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Milliseconds that a browser waits for anything. Nothing takes that long unless it never comes.
PATIENCE = 120_000
LIMITS = ServiceLimits(picture_bytes=2**20, request_bytes=4 * 2**20)
PAIRS = PairDistribution((0.05, 0.3, 0.6), (0.4, 0.8, 1.6), same_count=40, different_count=400)


@pytest.fixture(scope="session")
def checkpoint(avsl):
    return Checkpoint(avsl, Preprocess(size=64, resize=64), pairs=PAIRS)


@pytest.fixture(scope="session")
def plain_checkpoint(embedding):
    return Checkpoint(embedding, Preprocess(size=64, resize=64))


@pytest.fixture(scope="session")
def other_checkpoints(embedding, cgd):
    """A tiny checkpoint of every method that accounts in other ways than levels, by the method's name."""
    backbone = BackboneConfig(embedding.config.backbone.name, (4,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        models = {
            "diml": DimlModel(DimlConfig(EmbeddingConfig(backbone, nodes=12))),
            "cgd": cgd,
            "raml": RamlModel(RamlConfig(backbone, student_size=32, nodes=12)),
            "adaptation": AdaptationModel(
                AdaptationConfig(BackboneConfig(backbone.name, (2, 3, 4)), width=24)
            ),
        }
    return {
        method: Checkpoint(model.eval().requires_grad_(False), Preprocess(size=64, resize=64), pairs=PAIRS)
        for method, model in models.items()
    }


@pytest.fixture(scope="session")
def shipped(other_checkpoints, tmp_path_factory):
    """A folder with the tiny checkpoints of the other methods, and one that is damaged, to ship."""
    folder = tmp_path_factory.mktemp("shipped")
    for method, other in other_checkpoints.items():
        save_checkpoint(other, folder / f"{method}.safetensors")
    whole = (folder / "cgd.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:2000])
    return folder


@pytest.fixture(scope="session")
def checkpoint_file(checkpoint, tmp_path_factory):
    return save_checkpoint(checkpoint, tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Pictures by name: two photographs, a TIFF that no browser shows, and one that is damaged."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    made = {}
    for name in ("one.png", "two.jpg", "scan.tif"):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC).save(folder / name)
        made[name] = folder / name
    made["broken.jpg"] = folder / "broken.jpg"
    made["broken.jpg"].write_bytes(made["two.jpg"].read_bytes()[:300])
    return made


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    """A folder of three classes with five small pictures each: c/4.png is the last."""
    folder = tmp_path_factory.mktemp("collection") / "pictures"
    rng = np.random.default_rng(3)
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        colours = rng.integers(0, 256, (4, 4, 3))
        for number in range(5):
            pixels = np.clip(colours + rng.integers(-40, 41, (4, 4, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def index(checkpoint, collection):
    """The collection as a gallery of the tiny model."""
    return build_gallery(checkpoint, collection, collection.parent / "index").gallery


@pytest.fixture
def shelf(checkpoint, collection, index, tmp_path):
    """The collection as the demo, and a folder of galleries that does not exist yet."""
    demo = Demo(checkpoint, "Collection", index, collection)
    return Shelf(Models(checkpoint), tmp_path / "galleries", demo)


@pytest.fixture
def desk(shelf):
    return BuildDesk(shelf, BuildLimits(allow_folders=True, max_archive_bytes=2**20, max_archive_files=40))


@pytest.fixture
def explore(shelf, desk):
    return ExplorePage(ExploreBench(shelf), desk, iter(range(100)).__next__)


@pytest.fixture
def bench(checkpoint):
    return Workbench(checkpoint)


@pytest.fixture
def page(checkpoint, plain_checkpoint, files):
    """The Compare page with two models: unsaved-avsl, its own, and unsaved-embedding."""
    pair = ExamplePair(
        "A pair",
        "What it teaches.",
        PictureFile(files["one.png"], "one.png"),
        PictureFile(files["two.jpg"], "two.jpg"),
    )
    return ComparePage(Models(checkpoint, plain_checkpoint), [pair])


@pytest.fixture
def payload(files):
    """What Gradio hands over for an upload."""
    return lambda name: {"path": str(files[name]), "orig_name": name, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="session")
def address(checkpoint_file, tmp_path_factory):
    """Where the app is served, with a tiny model and no galleries but the demo."""
    said = tmp_path_factory.mktemp("address") / "said.txt"
    port = free_port()
    command = [sys.executable, "-m", "app", "--checkpoint", str(checkpoint_file), "--port", str(port)]
    command += ["--galleries", str(tmp_path_factory.mktemp("galleries"))]
    command += ["--kept", str(tmp_path_factory.mktemp("kept"))]
    # Into a file: a pipe that nobody reads would fill up and hold the app.
    with said.open("wb") as file:
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=file)
    server.stderr = said.open("rb")
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=120)
        server.stderr.close()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, (
        "this test needs Chromium: install it (for instance apt-get install chromium) and run again"
    )
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visitor(browser):
    """A visitor who comes again and again, and so has the scripts of the pages already."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def visit(visitor, address):
    """Open a page of the app; afterwards nothing may have gone wrong unseen or left this machine."""
    page = new_page(visitor)
    troubles = watch(page)

    def go(path=""):
        page.goto(f"{address}/{path}")
        return page

    yield go
    # Nothing of it may reach another test.
    stored = {"origin": address, "storageTypes": "local_storage"}
    visitor.new_cdp_session(page).send("Storage.clearDataForOrigin", stored)
    visitor.clear_cookies()
    page.close()
    assert real(troubles) == []


@pytest.fixture
def guest(browser):
    """guest(**options): the page of somebody who has never been here; nothing of it is watched."""
    pages = []

    def come(**options):
        pages.append(new_page(browser, **options))
        return pages[-1]

    yield come
    for page in pages:
        page.close()


def new_page(place, **options):
    """A page of a browser or of a visitor, for `settle` to wait for."""
    page = place.new_page(**options)
    page.set_default_timeout(PATIENCE)
    page.add_init_script(f"({_ASKED})()")
    return page


# Knows in the page what was asked of the app and is not answered: streams may stay open longer than that.
_ASKED = """() => {
  const given = window.fetch, asked = window.unanswered = new Set(), answered = new Set();
  const hear = async body => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (text + value).split("\\n");
      text = lines.pop();
      for (const line of lines) {
        if (!line.includes("process_completed")) continue;
        const { msg, event_id } = JSON.parse(line.slice("data:".length));
        if (msg !== "process_completed") continue;
        answered.add(event_id);
        asked.delete(event_id);
      }
    }
  };
  const note = async (body, sent) => {
    const { event_id } = await body.json();
    if (event_id && !answered.has(event_id)) asked.add(event_id);
    asked.delete(sent);
  };
  window.fetch = async (...values) => {
    const path = new URL(values[0].url ?? values[0], location.href).pathname, sent = {};
    if (path.endsWith("/queue/join")) asked.add(sent);
    try {
      const answer = await given(...values);
      if (path.endsWith("/queue/join")) note(answer.clone(), sent).catch(() => asked.delete(sent));
      if (path.endsWith("/queue/data")) hear(answer.clone().body).catch(() => {});  // aborted
      return answer;
    } catch (error) {
      asked.delete(sent);
      throw error;
    }
  };
}"""

# Comes back when everything is answered and for a while nothing has changed, moved, rolled or been loaded.
_STILL = """async patience => {
  const began = performance.now();
  let quiet = 0, changed = false, place = "";
  const observer = new MutationObserver(() => { changed = true; });
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const coming = () => ({
    "answers": window.unanswered.size,
    "document": document.readyState !== "complete",
    "fonts": document.fonts.status !== "loaded",
    "pictures": [...document.images].filter(one => !one.complete && one.loading !== "lazy").length,
    "motion": document.getAnimations()
      .filter(one => one.playState === "running" && isFinite(one.effect?.getComputedTiming().endTime)).length,
  });
  while (quiet < 8) {
    if (performance.now() - began > patience) throw new Error(`not at rest: ${JSON.stringify(coming())}`);
    await new Promise(done => setTimeout(done, 20));
    await Promise.race([new Promise(requestAnimationFrame), new Promise(done => setTimeout(done, 500))]);
    const now = [scrollX, scrollY, innerWidth, innerHeight].join();
    quiet = changed || now !== place || Object.values(coming()).some(Boolean) ? 0 : quiet + 1;
    [changed, place] = [false, now];
  }
  observer.disconnect();
}"""


def settle(page):
    """Wait until every answer has come, and the page shows it and is at rest."""
    page.evaluate(_STILL, PATIENCE)


JOINING = re.compile("/queue/join")  # how a page asks the app for an answer


@contextlib.contextmanager
def unanswered(page):
    """What the page asks for meanwhile reaches the app only afterwards."""
    held = []

    def hold(route):
        held.append(route)

    page.route(JOINING, hold)
    yield
    for route in held:
        route.continue_()
    page.unroute(JOINING)


_NOTE = """([selector, words, press]) => {
  const note = { shown: false }, said = new RegExp(words);
  const look = () => {
    const found = [...document.querySelectorAll(selector)]
      .some(one => one.checkVisibility({ visibilityProperty: true }) && said.test(one.textContent));
    if (!found) return;
    note.shown = true;
    observer.disconnect();
    if (press) document.querySelector(press).click();
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
  return note;
}"""


def noted(page, selector, words="", press=None):
    """From now on the page itself looks out for something that may be gone before anybody could look.

    Args:
        page: The page.
        selector: What must be visible.
        words: Pattern of what it must say.
        press: What the page clicks at that very moment.

    Returns:
        Waits until it was shown, for however short a time.
    """
    note = page.evaluate_handle(_NOTE, [selector, words, press])
    return lambda: page.wait_for_function("note => note.shown", arg=note)


ENTERED, LEAVING = "the page is entered", "the page is being left"
MARKS = f"""() => {{
    if (window !== window.top) return;
    console.debug("{ENTERED}");
    addEventListener("beforeunload", () => console.debug("{LEAVING}"));
}}"""


def watch(page):
    """What goes wrong in a page from now on, and between which of its documents."""
    troubles = []

    def listen(message):
        if message.type == "error":
            troubles.append(f"console: {message.text}")
        elif message.text in (ENTERED, LEAVING):
            troubles.append(message.text)

    page.add_init_script(f"({MARKS})()")
    page.on("console", listen)
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on(
        "request", lambda request: troubles.append(f"left: {request.url}") if leaves(request.url) else None
    )
    return troubles


def real(troubles):
    """Without what Gradio prints of its own doing: that it aborts a stream which has come to its end, and,
    once a page is being left, that every event under way lost its connection."""
    found, leaving = [], False
    for trouble in troubles:
        if trouble in (ENTERED, LEAVING):
            leaving = trouble == LEAVING
        elif not trouble.startswith("console: AbortError: ") and not (
            leaving and "Connection errored out" in trouble
        ):
            found.append(trouble)
    return found


def leaves(url):
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def wait_for(url, server):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the app ended: {server.stderr.read().decode()[-2000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    pytest.fail("the app did not answer within four minutes")


@pytest.fixture(scope="session")
def api_models(checkpoint, plain_checkpoint, other_checkpoints):
    """A model of every method: unsaved-avsl is the app's own."""
    return Models(checkpoint, plain_checkpoint, *other_checkpoints.values())


@pytest.fixture(scope="session")
def api_service(api_models, checkpoint, collection, index, tmp_path_factory):
    """The functions for programs, over the collection as the demo gallery."""
    folder = tmp_path_factory.mktemp("api")
    shelf = Shelf(api_models, folder / "galleries", Demo(checkpoint, "Collection", index, collection))
    return Service(api_models, shelf, keep=Keep(folder / "kept"), limits=LIMITS)


@pytest.fixture(scope="session")
def api_address(api_service):
    """Where the functions for programs are served: the doors beside a Gradio app that is mounted."""
    with OwnFilesBlocks() as blocks:
        add_tools(api_service)
        picture = gr.Image(type="filepath")
        seen = gr.Textbox()
        picture.change(str, picture, seen, preprocess=False, api_visibility="private")
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_doors(site, api_service)
    gr.mount_gradio_app(site, blocks, "/", ssr_mode=False, mcp_server=False, show_error=False)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(site, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 240
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.started, "the doors for programs did not open within four minutes"
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=120)
