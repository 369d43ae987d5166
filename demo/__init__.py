"""The demo business: an online pharmacy that SQL makes up. Its sources grow by one day at a time."""
