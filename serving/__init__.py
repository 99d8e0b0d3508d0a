"""Where inference comes from: the client, the engines and their supervisor."""
