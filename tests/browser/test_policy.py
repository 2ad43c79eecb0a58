"""The Content-Security-Policy as a real browser applies it."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visit
from tests.browser.driving import Watch

pytestmark = pytest.mark.browser

INLINE_SCRIPT = """() => {
  const script = document.createElement("script");
  script.textContent = "window.wasRun = true";
  document.body.append(script);
}"""
INLINE_STYLE = """() => document.body.setAttribute("style", "color: red")"""
FOREIGN_PICTURE = """() => {
  const picture = document.createElement("img");
  picture.src = "http://127.0.0.2:9/picture.png";
  document.body.append(picture);
}"""


@pytest.mark.parametrize(
    ("intruder", "directive"),
    [
        (INLINE_SCRIPT, "script-src"),
        (INLINE_STYLE, "style-src"),
        (FOREIGN_PICTURE, "img-src"),
    ],
)
def test_what_the_policy_forbids_is_not_done_and_is_noticed(
    visit: Visit, watch: Watch, intruder: str, directive: str
) -> None:
    page = visit("/accounts/")
    page.evaluate(intruder)
    page.wait_for_load_state("networkidle")
    assert any(directive in complaint for complaint in watch.complaints)
    assert page.evaluate("window.wasRun") is None
    watch.foresee(directive)
    watch.foresee("foreign host: http://127.0.0.2:9")
