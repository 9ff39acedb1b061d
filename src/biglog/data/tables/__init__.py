"""Building the tables of a domain, out of core."""
