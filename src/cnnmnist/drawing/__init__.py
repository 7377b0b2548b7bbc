"""The page of ``cnnmnist draw``: its server, its requests, and the network that reads drawings."""
