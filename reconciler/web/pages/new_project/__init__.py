"""Adding a project: four questions, each answer checked against the real thing."""
