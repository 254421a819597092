"""Results that are kept, so that nothing is computed twice: on with CACHE=on, and not imported without it."""
