"""What listens: uvicorn for FastAPI, waitress or granian for Flask, made strict, and several workers of
them."""
