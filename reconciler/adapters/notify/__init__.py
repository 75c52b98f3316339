"""Messages to people: by our own signed webhook, or by the services they use."""
