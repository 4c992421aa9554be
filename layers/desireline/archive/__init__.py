"""Archive: every record of every topic into object storage, once or more often, never less."""
