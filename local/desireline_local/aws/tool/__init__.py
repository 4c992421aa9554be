"""What runs inside ministack's environment: imports ministack and the standard library only."""
