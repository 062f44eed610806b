"""Tells the story: one readable line a step, and the same lines as data."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from did_agent.errors import DidAgentError


class StoryBroken(DidAgentError):
    """A step did not end as the story says it must."""

    code = "story_broken"
    public = "A step of the demonstration did not end as it must."


@dataclass(slots=True)
class Narrator:
    """Prints the steps and keeps them; a step that ends otherwise than told stops the story."""

    quiet: bool = False
    told: list[dict[str, object]] = field(default_factory=list)

    def chapter(self, number: int, title: str) -> None:
        """Open a chapter of the story."""
        self._print(f"\n{number}. {title}")
        self.told.append({"chapter": number, "title": title, "steps": []})

    def step(self, what: str, result: str, *, as_told: bool = True) -> None:
        """Tell one step and its result.

        Raises: StoryBroken when the result is not the one the story promises.
        """
        self._print(f"   {'✓' if as_told else '✗'} {what:<58} {result}")
        steps = self.told[-1]["steps"]
        assert isinstance(steps, list)  # noqa: S101  # made by `chapter` above
        steps.append({"what": what, "result": result, "ok": as_told})
        if not as_told:
            raise StoryBroken(f"{what}: {result}")

    def note(self, text: str) -> None:
        """Tell something that is no step."""
        self._print(text)

    def _print(self, text: str) -> None:
        if not self.quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def short(did: str) -> str:
    """Return the short form of a DID that people can compare: did:key:z6Mkf…3kQp."""
    return did if len(did) <= 24 else f"{did[:13]}…{did[-4:]}"
