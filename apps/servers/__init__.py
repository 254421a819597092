"""What listens: uvicorn for FastAPI, waitress or granian for Flask, made strict, and several workers of them.

How a request is read (http_parser.py, for both servers), what a connection does with it (uvicorn_protocol.py,
waitress_channel.py), how a server runs and drains (uvicorn_server.py, waitress_server.py, granian_server.py),
and how there are several (workers.py): each is read by itself."""
