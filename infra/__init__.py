"""The CDK application: `python -m infra.app`."""
