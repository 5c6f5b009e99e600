"""Alembic's entry point; always run on a connection handed over by store.migrate, inside its transaction."""

from alembic import context

from executor_tui.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
