"""A stand-in for Lambda's event source mapping of Kafka, which the local AWS does not have."""
