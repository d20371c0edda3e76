"""The demonstration: the whole story of a flip, a bad release and a rollback, under traffic, on the local cloud."""
