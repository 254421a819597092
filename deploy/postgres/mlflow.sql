CREATE DATABASE mlflow; -- beside servelab, which POSTGRES_DB makes
