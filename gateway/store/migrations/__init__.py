"""Migrations, which only `gateway.store.schema` runs."""
