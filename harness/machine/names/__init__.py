"""Name resolution: a DNS server, hosts files, resolver settings."""
