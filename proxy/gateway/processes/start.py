"""The application, as a process serves it."""

from proxy.config import Config
from proxy.gateway.app import App
from proxy.gateway.metrics import Metrics
from proxy.gateway.server.server import Listeners, ServeError


def application(config: Config, listeners: Listeners, metrics: Metrics | None = None) -> App:
    """What serves on the sockets.

    Args:
        config: the whole configuration.
        listeners: the sockets.
        metrics: where several workers share what they count.

    Raises:
        ServeError: the caller log or the key of the fingerprints cannot be opened.
    """
    try:
        return App(config, listeners.admin.getsockname()[1] if listeners.admin is not None else None, metrics=metrics)
    except OSError as error:
        raise ServeError(f"callers.log: {error.filename or config.callers.log}: {error.strerror}") from None
