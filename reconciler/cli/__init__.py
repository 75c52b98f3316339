"""How people drive it: a client of the daemon's API, over its unix socket or a URL with a token."""
