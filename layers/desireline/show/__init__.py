"""Show: the read models behind commands and pages."""
