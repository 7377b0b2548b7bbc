"""Server: an application on the loopback address, which only this machine reaches."""

import socket

import uvicorn
from starlette.types import ASGIApp

from cnnmnist.errors import ServerError, reason

ADDRESS = "127.0.0.1"
GRACE = 1  # seconds to finish answers when the server ends


def listen(port: int) -> socket.socket:
    """Listen on a port of the loopback address, 0 for any free port.

    Raises:
        ServerError: another program uses the port, or the user may not use it.
    """
    # If the socket names its protocol, asyncio sets TCP_NODELAY: an answer does not wait 40 ms for more data.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    # The port is free again as soon as the server ends.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ServerError(
            f"Cannot listen on port {port}: {reason(error)}; choose another one with --port."
        ) from error
    return listener


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until a signal ends the server.

    Raises:
        KeyboardInterrupt: the signal was Ctrl-C.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    uvicorn.Server(config).run(sockets=[listener])
    # Uvicorn raises the signal again, but a process that a shell started in the background ignores it.
    raise KeyboardInterrupt
