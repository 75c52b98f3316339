"""What we remember: the only SQL. Rows stay in here; values of the domain go out."""
