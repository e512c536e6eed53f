"""What is to be played: scenarios, moments, messages, needs."""
