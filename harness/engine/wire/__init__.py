"""The wire protocol of torch's TCPStore, decoded as it passes; pure, except for the script of the watcher."""
