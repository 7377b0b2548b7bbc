"""The web application of ``cnnmnist draw``: the page, and the requests of the page."""

import base64
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cnnmnist.data.loading import Dataset
from cnnmnist.drawing.reader import Bytes, Reader, Reading
from cnnmnist.errors import PictureError
from cnnmnist.prediction import answer_text, answers

PAGE = Path(__file__).parent / "page"
PIXELS = "application/octet-stream"
OWN_NAMES = {"127.0.0.1", "localhost"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def build_app(reader: Reader, tests: Dataset | None) -> Starlette:
    """Make the application.

    ``/`` is the page. ``GET /api/network`` describes the network. ``POST /api/drawing`` reads a drawing, which has
    one byte for each pixel. ``GET /api/test-images/N`` reads a test image. Answers are JSON documents; an error is
    ``{"error": sentence}``.

    Args:
        reader: the network of the page.
        tests: data set whose test images the page offers; None for no test images.
    """
    height, width = reader.drawing_shape

    async def network(request: Request) -> Response:
        return JSONResponse(_description(reader, tests))

    async def drawing(request: Request) -> Response:
        if request.headers.get("content-type") != PIXELS:
            raise HTTPException(415, f"A drawing must have the type {PIXELS}.")
        content = await _content(request, height * width)
        pixels = np.frombuffer(content, np.uint8).reshape(height, width)
        return JSONResponse(_document(await run_in_threadpool(reader.read_drawing, pixels), reader))

    async def test_image(request: Request) -> Response:
        number = request.path_params["number"]
        if not tests or not re.fullmatch(r"[0-9]{1,9}", number) or int(number) >= len(tests.test):
            valid = f": choose from 0 to {len(tests.test) - 1:,}" if tests else ""
            raise HTTPException(404, f"There is no such test image{valid}.")
        index = int(number)
        reading = await run_in_threadpool(reader.read_images, tests.test.images[index : index + 1])
        return JSONResponse(_document(reading, reader) | {"label": int(tests.test.labels[index])})

    return Starlette(
        routes=[
            Mount(
                "/api",
                routes=[
                    Route("/network", network),
                    Route("/drawing", drawing, methods=["POST"]),
                    Route("/test-images/{number}", test_image),
                ],
            ),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(_OwnPageOnly)],
        exception_handlers={
            HTTPException: _http_error,
            PictureError: _error_handler(422),
            ClientDisconnect: _error_handler(400, "The connection ended before the drawing."),
            Exception: _error_handler(500, "The program failed: its terminal shows the reason."),
        },
    )


class _OwnPageOnly:
    """Refuse requests of other pages, even after DNS rebinding, and let our page load its own files only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app
        if scope["type"] == "http" and not _is_own(Headers(scope=scope)):
            app = _error(403, "Only the page of this program may send requests: open it as http://127.0.0.1:PORT.")
        await app(scope, receive, send_guarded)


def _is_own(headers: Headers) -> bool:
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not re.fullmatch(r"[a-z0-9.]+(:[0-9]{1,5})?", hosts[0].lower()):
        return False
    # Any port is allowed, because a tunnel to the page may have another port.
    return hosts[0].lower().partition(":")[0] in OWN_NAMES and all(
        origin.lower() == f"http://{hosts[0].lower()}" for origin in origins
    )


async def _content(request: Request, size: int) -> bytes:
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > size:
            raise HTTPException(413, f"A drawing has {size:,} bytes, not more.")
    if len(content) < size:
        raise HTTPException(400, f"A drawing has {size:,} bytes, not {len(content):,}.")
    return content


def _description(reader: Reader, tests: Dataset | None) -> dict[str, Any]:
    layers = reader.run.metadata.recipe.model.convolutions
    description: dict[str, Any] = {
        "run": reader.run.name,
        "dataset": reader.data.name,
        "classes": reader.data.class_names,
        "image_shape": reader.data.image_shape,
        "drawing_shape": reader.drawing_shape,
        "layers": [
            {"name": name, "height": height, "width": width, "maps": maps, "filters": layer.filters}
            for (name, (height, width, maps)), layer in zip(reader.map_shapes.items(), layers, strict=True)
        ],
        "tests": None,
    }
    if tests:
        seen = reader.run.has_seen(tests, "test")
        description["tests"] = {"dataset": tests.name, "count": len(tests.test), "seen_in_training": seen}
    return description


def _document(reading: Reading, reader: Reader) -> dict[str, Any]:
    names = reader.data.class_names
    digits = answers(reading.probabilities, names)
    for number, digit in enumerate(digits):
        digit["image"] = _base64(reading.images[number])
        digit["maps"] = {layer: _base64(maps[number]) for layer, maps in reading.maps.items()}
    return {"text": answer_text(reading.probabilities, names), "digits": digits}


def _base64(pixels: Bytes) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def _error(status: int, sentence: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: "There is nothing here.", 405: f"{request.method} is not possible here."}
    sentence = error.detail
    if not sentence.endswith("."):  # Starlette's own error, two words
        sentence = sentences.get(error.status_code, f"{sentence}.")
    return _error(error.status_code, sentence, error.headers)


def _error_handler(status: int, sentence: str = "") -> Callable[[Request, Exception], Awaitable[Response]]:
    """Make a function that answers an error with a sentence; the default is the error's message."""

    async def handle(request: Request, error: Exception) -> Response:
        return _error(status, sentence or str(error))

    return handle
