"""An application on this machine's loopback address, for nobody else."""

import socket

import uvicorn
from starlette.types import ASGIApp

from cnnmnist.errors import ServerError, reason

ADDRESS = "127.0.0.1"
GRACE = 1  # seconds for answers that are on their way when the server is to end


def listen(port: int) -> socket.socket:
    """Take a port, 0 for any that is free, of the loopback address.

    Raises:
        ServerError: another program has it, or it may not be taken.
    """
    # Named, the protocol has asyncio send at once (TCP_NODELAY) what would otherwise wait 40 ms for company.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    # The port is free again at once when the server has ended.
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
    """Answer until a signal comes, which is then raised as Python does it.

    Raises:
        KeyboardInterrupt: it was Ctrl-C.
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
    # Uvicorn raises the signal again, to no effect in a process that a shell started in the background.
    raise KeyboardInterrupt
