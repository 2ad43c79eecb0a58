"""Several workers on the engines of a fleet: PostgreSQL, and Redis for the queue."""
