"""Proxies: ways to make a rank's path to the endpoint, one file each."""
