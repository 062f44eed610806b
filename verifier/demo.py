"""Urban Bites: a small restaurant as an MCP server, guarded by `protect`; the stage of the demonstration."""

from __future__ import annotations

import itertools
from typing import Any, Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.errors import Misconfigured
from verifier.mcp import current_caller, protect

# Each tool in the words a consent page shows; `did-agent up` registers them at the bridge.
TOOLS: Final = {
    "list_menu": "Read the menu",
    "create_order": "Place an order",
    "delete_order": "Delete an order",
    "update_stock": "Change how much is in stock",
    "assign_delivery": "Give an order to a courier",
}
NAME: Final = "Urban Bites"
_MENU: Final = {"falafel": 650, "hummus": 480, "lemonade": 320}  # cents


class DemoSettings(BaseSettings):
    """Where the demonstration's MCP server lives."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    demo_url: str = "http://127.0.0.1:8405/mcp"
    bridge_url: str = "http://127.0.0.1:8400"
    ledger_url: str | None = "http://127.0.0.1:8402"
    max_orders: int = Field(default=1_000, ge=1)  # orders kept in memory


class Restaurant:
    """The restaurant's state: orders and stock, in memory."""

    def __init__(self, max_orders: int) -> None:
        self._numbers = itertools.count(1)
        self._max_orders = max_orders
        self._orders: dict[str, dict[str, object]] = {}
        self._stock = dict.fromkeys(_MENU, 10)

    def list_menu(self) -> dict[str, object]:
        """Read the menu: each item with its price in cents and how many are left."""
        return {item: {"price": price, "stock": self._stock[item]} for item, price in _MENU.items()}

    def create_order(self, item: str, quantity: int) -> dict[str, object]:
        """Place an order for a quantity of one item."""
        if item not in _MENU or not 0 < quantity <= self._stock[item]:
            raise ValueError(f"{quantity} x {item} cannot be ordered")
        if len(self._orders) >= self._max_orders:
            raise ValueError("the kitchen is full")
        number = str(next(self._numbers))
        self._stock[item] -= quantity
        order: dict[str, object] = {"order_id": number, "item": item, "quantity": quantity}
        self._orders[number] = {**order, "ordered_for": current_caller().principal.id}
        return self._orders[number]

    def delete_order(self, order_id: str) -> dict[str, object]:
        """Delete an order."""
        return {"deleted": self._orders.pop(order_id, None) is not None}

    def update_stock(self, item: str, quantity: int) -> dict[str, object]:
        """Set how much of an item is in stock."""
        if item not in _MENU or quantity < 0:
            raise ValueError(f"there is no {item}")
        self._stock[item] = quantity
        return {"item": item, "stock": quantity, "changed_by": current_caller().agent}

    def assign_delivery(self, order_id: str, courier: str) -> dict[str, object]:
        """Give an order to a courier."""
        if order_id not in self._orders:
            raise ValueError(f"there is no order {order_id}")
        self._orders[order_id]["courier"] = courier
        return self._orders[order_id]


def create_app(settings: DemoSettings, **guard: Any) -> Any:
    """Return the guarded server as an ASGI app.

    Raises: Misconfigured when the MCP SDK is not installed.
    """
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError as error:
        raise Misconfigured("Urban Bites needs the MCP SDK: pip install 'did-agent[mcp]'") from error
    restaurant = Restaurant(settings.max_orders)
    server = MCPServer(NAME, log_level="WARNING")
    for tool in TOOLS:
        server.add_tool(getattr(restaurant, tool), name=tool)
    app = server.streamable_http_app()
    return protect(
        app,
        resource=settings.demo_url,
        bridge=settings.bridge_url,
        ledger=settings.ledger_url,
        name=NAME,
        **guard,
    )


def party() -> Any:
    """Return the app built from the environment, for `did-agent up` and `did-agent urban-bites`."""
    return create_app(DemoSettings())
