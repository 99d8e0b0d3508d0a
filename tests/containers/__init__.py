"""Places with fewer rights than this process has: a user without any, a container like Docker's."""
