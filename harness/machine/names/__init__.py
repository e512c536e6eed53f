"""Names: a DNS server, hosts files, resolver settings."""
