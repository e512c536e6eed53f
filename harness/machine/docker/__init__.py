"""Docker: images, hosts and ranks in containers, and the removal of what a killed harness leaves."""
