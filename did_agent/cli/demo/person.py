"""A person at the bridge's pages: reads the forms a browser would show, fills them in, follows the redirects."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

from did_agent.errors import ConsentDenied

_MAX_PAGES = 6  # login, consent and some redirects; more means we go round in circles


@dataclass(slots=True)
class Form:
    """One HTML form: where it goes, what it sends untouched, and which boxes may be ticked."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(action=values.get("action", ""))
        elif self.form is not None and values.get("name"):
            named = (values["name"], values.get("value", ""))
            if tag == "button":
                self.form.buttons.append(named)
            elif tag == "input" and values.get("type") == "checkbox":
                self.form.boxes.append(named)
            elif tag == "input":
                self.form.fields[named[0]] = named[1]


def read_form(page: str) -> Form:
    """Return the first form of a page."""
    parser = _Forms()
    parser.feed(page)
    if parser.form is None:
        raise ConsentDenied("the page holds no form")
    return parser.form


async def sign_in_and_consent(authorize_url: str, *, username: str, password: str) -> dict[str, str]:
    """Walk the login and consent pages and return the parameters of the authorization response."""
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as browser:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(authorize_url))
        here, response = authorize_url, await browser.get(authorize_url)
        for _ in range(_MAX_PAGES):
            if response.is_redirect:
                here = urljoin(here, response.headers["location"])
                if not here.startswith(origin + "/"):
                    return {name: values[0] for name, values in parse_qs(urlsplit(here).query).items()}
                response = await browser.get(here)
                continue
            if response.status_code != httpx2.codes.OK:
                raise ConsentDenied(f"the bridge answered {response.status_code}")
            form = read_form(response.text)
            filled = _fill(form, username=username, password=password)
            here = urljoin(here, form.action or here)
            response = await browser.post(
                here,
                content=_encode(filled),
                headers={"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"},
            )
    raise ConsentDenied("the pages never ended")


def _fill(form: Form, *, username: str, password: str) -> list[tuple[str, str]]:
    filled = list(form.fields.items())
    if "password" in form.fields:
        answers = {"username": username, "password": password}
        return [(name, answers.get(name, value)) for name, value in filled]
    yes = [button for button in form.buttons if button[1] in ("allow", "approve", "yes")]
    return [*filled, *form.boxes, *yes[:1]]


def _encode(pairs: list[tuple[str, str]]) -> bytes:
    return str(httpx2.QueryParams([*pairs])).encode()
