"""Speaks with a running app as its page in a browser does: uploads, then events through Gradio's queue."""

import json
import re
import secrets
from dataclasses import dataclass, field

import httpx

__all__ = ["Site", "words"]

_API = "/gradio_api"


@dataclass
class Site:
    """The app behind an address.

    Attributes:
        address: Without a slash at the end.
        seconds: The longest that an answer may take.
    """

    address: str
    seconds: float = 60.0
    client: httpx.Client = field(init=False)

    def __post_init__(self):
        self.client = httpx.Client(base_url=self.address, timeout=self.seconds)
        self.session = secrets.token_hex(5)

    def config(self, page=""):
        """What the page is made of, as its own script reads it."""
        text = self.client.get(f"/{page}").raise_for_status().text
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", text, re.DOTALL)
        return json.loads(found.group(1))

    def upload(self, files):
        """Give files, (name, data) each; their places on the server come back."""
        parts = [("files", (name, data)) for name, data in files]
        return self.client.post(f"{_API}/upload", files=parts).raise_for_status().json()

    def event(self, config, elem_id, trigger):
        """The first event with work for the server that a component's trigger leads to."""
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        chain = [
            event
            for event in config["dependencies"]
            if [ids[elem_id], trigger] in [list(target) for target in event["targets"]]
        ]
        assert chain, f"nothing happens at {trigger} of {elem_id}"
        event = chain[0]
        while not event["backend_fn"]:
            event = next(
                other for other in config["dependencies"] if other.get("trigger_after") == event["id"]
            )
        return event

    def call(self, config, event, given):
        """Let an event happen.

        Args:
            config: Of the page.
            event: As `event` found it.
            given: Values by elem_id; what is not given has the value of the page as it opens.

        Returns:
            The values that come back, by elem_id, and what is said if the event failed, or None.
        """
        parts = {part["id"]: part for part in config["components"]}
        data = [
            given.get(parts[number]["props"].get("elem_id"), parts[number]["props"].get("value"))
            for number in event["inputs"]
        ]
        body = {
            "data": data,
            "fn_index": event["id"],
            "session_hash": self.session,
            "event_data": None,
            "trigger_id": None,
        }
        # Escaped, so that it can carry what is no character, as any program could send it.
        told = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
        joined = self.client.post(f"{_API}/queue/join", **told)
        if joined.status_code != 200:
            return {}, joined.text
        output, said = [], None
        for message in self._messages():
            if message["msg"] in ("process_generating", "process_completed"):
                output = _patched(output, message)
                if message["msg"] == "process_completed":
                    said = None if message["success"] else json.dumps(message["output"])
                    break
            elif message["msg"] == "unexpected_error":
                return {}, json.dumps(message)
        names = [parts[number]["props"].get("elem_id") or str(number) for number in event["outputs"]]
        return dict(zip(names, output, strict=False)), said

    def _messages(self):
        query = {"session_hash": self.session}
        with self.client.stream("GET", f"{_API}/queue/data", params=query) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    if message["msg"] == "close_stream":
                        return
                    yield message


def words(values):
    """All that a visitor could read of some values, as one text."""
    return json.dumps(values, ensure_ascii=False)


def _patched(before, message):
    """A step of a longer event is told as changes to the step before."""
    found = (message.get("output") or {}).get("data") or []
    if message["msg"] == "process_completed" or not before:
        return found or before
    after = list(before)
    for number, changes in enumerate(found):
        for action, path, value in changes:
            after[number] = _changed(after[number], action, path, value)
    return after


def _changed(value, action, path, new):
    if not path:
        return value + new if action == "append" else new
    key, rest = path[0], path[1:]
    if action == "delete" and not rest:
        del value[key]
    elif action == "add" and not rest and isinstance(value, list):
        value.insert(key, new)
    else:
        value[key] = new if not rest and action != "append" else _changed(value[key], action, rest, new)
    return value
