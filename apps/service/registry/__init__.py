"""Models of a registry: followed, swapped while they serve, compared with a challenger. There only with
MODEL_URI. Nothing here asks a registry, or imports one: a child process does, the agent."""

from apps.service.registry.registry import Registry

__all__ = ["Registry"]
