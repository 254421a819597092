"""The parts of kit.py. What runs before the environment exists imports the standard library only."""
