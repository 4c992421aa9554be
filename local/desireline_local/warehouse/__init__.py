"""The Snowflake stand-in: fakesnow behind a launcher, schemachange, and a local Snowpipe."""
