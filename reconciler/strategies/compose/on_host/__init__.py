"""What differs where a compose project runs on a host: its files and commands, over a machine."""
