"""OpenID Connect, as its relying party."""
