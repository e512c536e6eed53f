"""What several reports share: not members of the family."""
