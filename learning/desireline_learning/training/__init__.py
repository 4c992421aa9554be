"""From history to a packaged model: replay, fit, judge, export."""
