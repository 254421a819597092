"""The registry of models, over MLflow's own client, and the store that servers load from."""
