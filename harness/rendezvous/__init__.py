"""A static rendezvous of our own, which keeps the promises that the stock one does not; not there yet."""
