"""What people do to projects and deployments: each asks first, on a page of its own."""
