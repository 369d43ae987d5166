"""The demo business: an online pharmacy, made up by SQL, whose sources grow by a day at a time."""
