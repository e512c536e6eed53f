"""Networks: namespaces, interfaces, firewall, shaping, held packets, sockets."""
