"""The runtime of packaged models: load, evaluate, explain."""
