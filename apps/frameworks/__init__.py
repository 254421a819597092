"""What stands between a framework and the service: for FastAPI and for Flask a middleware and typed views.
The apps are strict with it on any server."""
