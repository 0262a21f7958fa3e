"""The embedded stack: a real Kafka broker and a real PostgreSQL from Python packages alone."""
