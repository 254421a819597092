"""What carries requests to the service: the servers, made strict, and a middleware for each framework."""

from collections.abc import Callable


def at_once(view: Callable) -> Callable:
    """Marks a view that is called without what the framework does for any other, in 40 µs: FastAPI looks for
    parameters, dependencies and a model of the answer, Flask makes and ends a request context.
    Such a view takes the request (FastAPI) or nothing (Flask), and returns a Response."""
    view.at_once = True
    return view
