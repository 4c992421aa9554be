"""The real Apache Kafka on loopback, out of packages alone: Java as a wheel, jars by a resolver."""
