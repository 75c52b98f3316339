"""Runs the migrations on the connection that it is given; knows of no file and no URL."""

from alembic import context

from reconciler.store.tables import METADATA

# No logging set-up here: the program has its own.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by making a new one
    compare_type=True,
)
context.run_migrations()
