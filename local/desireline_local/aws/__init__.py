"""The local AWS: ministack, in an environment of its own, behind a launcher of ours."""
