"""Who may use what, and act for whom, across the organisations of a deployment: nobody, unless it was said (WEB-02).

* A person uses resources of their own organisation, and those that were shared with it.
* An agent on its own does too.  At resources of the deployment itself its credentials decide besides: the trust list
  says at which of them another organisation may grant.
* Whoever acts for somebody is of the same organisation, or of one that lends its agents to it.

What is another organisation's is refused in the words for what does not exist.
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.model import Resource
from did_agent.errors import UnknownAgent, UnknownResource
from did_agent.tokens.access_token import HOME


def require_usable(resource: Resource, organisation: str, *, is_person: bool) -> None:
    """Return when somebody of an organisation may use a resource at all.

    Raises: UnknownResource.
    """
    if organisation == resource.organisation or organisation in resource.shared_with:
        return
    if resource.organisation == HOME and not is_person:
        return  # whose credentials count there is in the trust list
    raise UnknownResource(f"{resource.id[:200]} is not registered here")


def share_id(resource: str, organisation: str) -> str:
    """Return what tokens hang on that need a resource to be shared with an organisation."""
    return f"share {organisation} {resource}"


def require_may_act(actors: Collection[str], organisation: str, *, lenders: frozenset[str]) -> None:
    """Return when agents of the organisations `actors` may act for somebody of `organisation`.

    Raises: UnknownAgent.
    """
    if not set(actors) <= {organisation} | lenders:
        raise UnknownAgent("the agent is not in the registry")
