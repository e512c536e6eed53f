"""What several faults share: toxics on links, and evidence from the traffic of links."""
