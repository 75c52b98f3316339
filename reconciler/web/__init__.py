"""How people see it: REST, server-sent events, git over HTTP."""
