"""Apache Kafka on loopback, installed from packages: Java from a wheel, the jars by a resolver."""
