"""Deliveries to far ends: enqueued, claimed, attempted elsewhere, settled."""
