"""`did-agent task …` and `did-agent signal …`: ending what agents were set to do, and saying who is a risk."""

from __future__ import annotations

import asyncio

import click

from did_agent.agent import Agent
from did_agent.cli.agents import find_agent
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, table
from did_agent.client.tasks import TasksClient


@click.group()
def task() -> None:
    """End tasks, and with them everything that was given for them."""


@task.command()
@click.argument("name")
@click.option("--agent", help="End it as this agent of the wallet here, which may say its own name of the task.")
@json_option
@click.pass_obj
def complete(at: Deployment, name: str, agent: str | None, as_json: bool) -> None:
    """End a task: NAME is its id or, with --agent, what that agent calls it."""
    if agent is None:
        ended = asyncio.run(_client(at).complete(name))
    else:
        ended = asyncio.run(Agent.load(agent, path=at.wallet.path).complete_task(at.urls.bridge_url, name))
    emit({"task": ended, "completed": True}, as_json=as_json, text="the task is completed; its tokens have ended")


@task.command("list")
@json_option
@click.pass_obj
def list_tasks(at: Deployment, as_json: bool) -> None:
    """List the tasks that are not over."""
    found = asyncio.run(_client(at).tasks())
    emit({"tasks": found}, as_json=as_json, text=table(found, ("name", "principal", "client_id", "started", "task")))


@click.group()
def signal() -> None:
    """Say how risky an agent or a person is; rules of the policy then take rights away."""


@signal.command("raise")
@click.argument("subject")
@click.option("--level", type=click.IntRange(1, 100), required=True, help="How risky: 100 is the most.")
@click.option("--seconds", type=click.IntRange(1, 31 * 86_400), default=3_600, show_default=True)
@click.option("--reason", default="", help="For the audit log.")
@json_option
@click.pass_obj
def raise_signal(at: Deployment, /, subject: str, *, level: int, seconds: int, reason: str, as_json: bool) -> None:
    """Signal a risk: SUBJECT is an agent's name, id or DID, or `user:NAME`."""
    told = asyncio.run(_signal(at, subject, level=level, seconds=seconds, reason=reason))
    emit(told, as_json=as_json, text=f"{told['subject']} is a risk of {level} until {told['until']}")


@signal.command()
@click.argument("subject")
@json_option
@click.pass_obj
def clear(at: Deployment, subject: str, as_json: bool) -> None:
    """Take back what you signalled of SUBJECT; what others signalled stays."""
    told = asyncio.run(_signal(at, subject, level=0, seconds=1, reason="cleared"))
    emit(told, as_json=as_json, text=f"{told['subject']} is no risk that you signal")


@signal.command("list")
@json_option
@click.pass_obj
def list_signals(at: Deployment, as_json: bool) -> None:
    """List who is signalled as a risk now."""
    found = asyncio.run(_client(at).signals())
    emit({"signals": found}, as_json=as_json, text=table(found, ("subject", "level", "until", "source", "reason")))


async def _signal(at: Deployment, subject: str, *, level: int, seconds: int, reason: str) -> dict[str, object]:
    is_person = subject.startswith("user:")
    name = subject.removeprefix("user:") if is_person else (await find_agent(at, subject))["did"]
    return dict(await _client(at).signal(name, level=level, seconds=seconds, reason=reason))


def _client(at: Deployment) -> TasksClient:
    return TasksClient(at.urls.bridge_url, auth=at.operator_auth(at.urls.bridge_url))
