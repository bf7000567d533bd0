"""How each kind of resource is made, changed and removed; one file each."""
