"""Migrations, run by `gateway.store.schema` and by nothing else."""
