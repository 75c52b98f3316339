"""What things are: values and decisions. Standard library only; no I/O, no clock."""
