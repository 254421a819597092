"""Who may use a server, and how much: on with ACCESS=on and RATE_LIMITS, and not imported without them."""
