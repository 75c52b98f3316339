"""What an operator may declare: projects, hosts, targets, secrets, settings."""
