"""Whether calls on keys could have happened one after another: a model of torch's store, and a search for an order."""
