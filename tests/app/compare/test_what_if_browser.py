"""Painting over a part in a real browser: what measures is in view."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import settle

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1440, 900)])
def test_what_measures_is_in_view_as_soon_as_one_may_paint(guest, address, width, height):
    page = guest(viewport={"width": width, "height": height})
    page.goto(address)
    page.wait_for_function("() => document.querySelector('.avsl-stage')?.dataset.drawn")
    settle(page)
    page.locator(".avsl-tools").get_by_label("What if", exact=True).check()
    page.locator(".avsl-stage").evaluate(
        "stage => scrollTo(0, stage.getBoundingClientRect().top + scrollY - innerHeight / 2)"
    )
    expect(page.get_by_role("button", name="Measure", exact=True)).to_be_in_viewport(ratio=1)
