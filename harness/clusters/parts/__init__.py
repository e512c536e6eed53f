"""What clusters share."""
