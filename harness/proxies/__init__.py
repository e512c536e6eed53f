"""Proxies: how a rank's path to the endpoint is made, one file each."""
