"""How the pages' events that touch the model wait in Gradio: all in one line, so that visitors share it.

How many of them are under way at once is set where the site is built; in front of the model itself they wait
in the turnstile.
"""

from typing import Any

__all__ = ["MODEL_EVENT", "QUIET_MODEL_EVENT", "SHARED_QUEUE"]

# Options of a Gradio event.
SHARED_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2}
MODEL_EVENT: dict[str, Any] = {**SHARED_QUEUE, "api_visibility": "private"}
# The page shows progress by itself.
QUIET_MODEL_EVENT: dict[str, Any] = {**MODEL_EVENT, "show_progress": "hidden"}
