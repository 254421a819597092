"""What must be true of a model before it is shipped."""
