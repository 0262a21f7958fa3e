"""How do we speak to Apache Kafka?

Every client is made, started and ended here, within bounded times, and carries raw bytes.
"""
