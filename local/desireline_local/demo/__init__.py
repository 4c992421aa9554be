"""The demo: send a simulated company's webhooks through the local cloud, and show the results."""
