"""The real yaml-language-server, spoken to over its standard input and output."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVER = Path(__file__).parents[2] / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
SCHEMAS = Path(__file__).parents[2] / "schemas"
PATIENCE = 120.0


def missing() -> str:
    """Why the server cannot be run, empty when it can."""
    if shutil.which("node") is None:
        return "node is missing"
    return "" if SERVER.exists() else "npm is missing, or `npm install` has not been run"


class Editor:
    """One editor session: documents are opened with a schema and asked about."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._watchdog = threading.Timer(PATIENCE, self._process.kill)
        self._watchdog.start()
        self._serial = 0
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        hover = {"contentFormat": ["markdown"]}
        completion = {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": False}}
        capabilities = {
            "textDocument": {"hover": hover, "completion": completion},
            "workspace": {"configuration": True},
        }
        self.ask("initialize", processId=None, rootUri=None, capabilities=capabilities)
        self._tell("initialized")
        self._tell("workspace/didChangeConfiguration", settings=self._settings())

    @staticmethod
    def _settings() -> dict[str, Any]:
        return {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def open(self, text: str, schema: str) -> Text:
        """A document that names its schema in the first line, as an editor shows it."""
        self._serial += 1
        uri = f"file:///project/{self._serial}.yaml"
        whole = f"# yaml-language-server: $schema={(SCHEMAS / schema).as_uri()}\n{text}"
        self._tell("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": whole})
        return Text(self, uri, whole)

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What the server marks in a document, once it has said so."""
        while uri not in self._diagnostics:
            self._take(self._read())
        return self._diagnostics[uri]

    def ask(self, method: str, **parameters: Any) -> Any:
        """The answer to a request."""
        self._serial += 1
        mine = self._serial
        self._send({"id": mine, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == mine and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            self._take(message)

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _take(self, message: dict[str, Any]) -> None:
        """A notification, or a request of the server."""
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "id" in message and "method" in message:
            items = message["params"].get("items", []) if isinstance(message.get("params"), dict) else []
            settings = [self._settings().get(item.get("section"), {}) for item in items]
            self._send({"id": message["id"], "result": settings if items else None})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            raise AssertionError("the language server ended")
        found: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return found


class Text:
    """An open document; lines count from 1, without the first, which names the schema."""

    def __init__(self, editor: Editor, uri: str, text: str) -> None:
        self._editor, self._uri, self._lines = editor, uri, text.split("\n")

    def hover(self, line: int, column: int) -> str:
        """The text shown at a place, white space and Markdown's escapes left out."""
        found = self._editor.ask("textDocument/hover", **self._at(line, column))
        return flat(found["contents"]["value"]) if found else ""

    def completion(self, line: int, column: int) -> set[str]:
        """Labels offered at a place."""
        found = self._editor.ask("textDocument/completion", **self._at(line, column))
        items = found["items"] if isinstance(found, dict) else found or []
        return {str(item["label"]) for item in items}

    def wrong_lines(self) -> list[int]:
        """Lines that are marked."""
        return sorted({one["range"]["start"]["line"] for one in self._editor.diagnostics(self._uri)})

    def _at(self, line: int, column: int) -> dict[str, Any]:
        return {"textDocument": {"uri": self._uri}, "position": {"line": line, "character": column - 1}}


def flat(text: str) -> str:
    """Text without white space, backslashes and HTML's spaces, to be compared."""
    return re.sub(r"\s+|\\|&nbsp;|&emsp;", "", text).replace("&lt;", "<").replace("&gt;", ">")
