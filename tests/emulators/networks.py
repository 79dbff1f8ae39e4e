"""Broken networks: toxiproxy, between a client and a server of 127.0.0.1."""

from __future__ import annotations

import json
import uuid
from types import TracebackType
from typing import Any, Literal, Self

from emulators import http_client, install
from emulators.processes import HOST, Child, accepts, free_port, start

Direction = Literal["upstream", "downstream"]


class Networks:
    """A running toxiproxy; a context manager that ends it."""

    def __init__(self) -> None:
        """Starts it.

        Raises:
            LookupError: it is not installed.
            StartError: it did not come up.
        """
        program = install.find("networks")
        if program is None:
            raise LookupError("not installed: python tests/emulators/install.py networks")

        def build() -> Child:
            self._port = free_port()
            command = [str(program), "-host", HOST, "-port", str(self._port)]
            return Child(command, is_ready=lambda: accepts(self._port))

        self._child = start(build)

    def link(self, port: int) -> Link:
        """A way to a server of 127.0.0.1 that can be broken."""
        name = f"link-{uuid.uuid4().hex}"
        body = {"name": name, "listen": f"{HOST}:0", "upstream": f"{HOST}:{port}", "enabled": True}
        made = self.ask("POST", "/proxies", body)
        return Link(self, name, int(made["listen"].rsplit(":", 1)[1]))

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of its own interface.

        Raises:
            OSError: it refused.
        """
        reply = http_client.ask(
            method,
            f"http://{HOST}:{self._port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        if reply.status >= 400:
            raise OSError(f"toxiproxy: {method} {path}: {reply.body.decode()}")
        return reply.json()

    def close(self) -> None:
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Link:
    """One way through toxiproxy; a context manager that removes it.

    Attributes:
        port: where clients connect.
        endpoint: the same as an address.
    """

    def __init__(self, networks: Networks, name: str, port: int) -> None:
        self._networks = networks
        self._path = f"/proxies/{name}"
        self.port = port
        self.endpoint = f"http://{HOST}:{port}"

    def add(
        self,
        kind: str,
        *,
        direction: Direction = "downstream",
        toxicity: float = 1.0,
        **attributes: int,
    ) -> str:
        """Breaks it.

        Args:
            kind: ``latency`` (latency, jitter: ms), ``bandwidth`` (rate: KB/s), ``slow_close``
                (delay: ms), ``timeout`` (timeout: ms), ``reset_peer`` (timeout: ms), ``slicer``
                (average_size, size_variation: bytes; delay: µs), ``limit_data`` (bytes).
            direction: from the server (downstream) or to it (upstream).
            toxicity: the share of the connections.
            attributes: of the kind.

        Returns:
            The name to remove it by.
        """
        name = f"{kind}-{uuid.uuid4().hex}"
        body = {"name": name, "type": kind, "stream": direction, "toxicity": toxicity}
        self._networks.ask("POST", f"{self._path}/toxics", {**body, "attributes": attributes})
        return name

    def remove(self, name: str) -> None:
        """Mends what `add` broke."""
        self._networks.ask("DELETE", f"{self._path}/toxics/{name}")

    def refuse(self, *, refuses: bool = True) -> None:
        """Closes all connections and takes no new ones; or takes them again."""
        listen = f"{HOST}:{self.port}"
        self._networks.ask("POST", self._path, {"enabled": not refuses, "listen": listen})

    def close(self) -> None:
        self._networks.ask("DELETE", self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
