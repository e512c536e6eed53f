"""The wire protocol of torch's TCPStore, decoded as it passes; pure, but for the script that watches a pipeline."""
