"""How we talk to the world. The only sockets and subprocesses."""
