"""The demo: a simulated company's webhooks through the whole local cloud, and what came of them."""
