"""What webhooks brought, and what came of it."""
