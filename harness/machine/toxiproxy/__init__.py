"""A server with Toxiproxy's API: found, started, driven, and metered."""
